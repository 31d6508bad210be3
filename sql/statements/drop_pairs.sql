-- Pairs that are none any more.
DELETE FROM ecg_study_pairs AS p
WHERE NOT EXISTS (SELECT FROM staged_pairs AS s WHERE s.content_hash = p.content_hash)
