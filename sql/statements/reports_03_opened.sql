-- Segments that the reports no longer call narrowed.
DELETE FROM segment_stenoses AS d
USING staged_studies AS study
WHERE study.study_id = d.study_id
  AND NOT EXISTS (SELECT FROM staged_stenoses AS s WHERE s.study_id = d.study_id AND s.segment = d.segment)
