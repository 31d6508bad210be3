-- Segments that the reports no longer call narrowed.
DELETE FROM segment_stenoses AS d
WHERE NOT EXISTS (SELECT FROM staged_stenoses AS s WHERE s.study_id = d.study_id AND s.segment = d.segment)
