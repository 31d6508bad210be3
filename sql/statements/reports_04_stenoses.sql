-- The narrowed segments of every study.
INSERT INTO segment_stenoses AS d (study_id, segment, degree)
SELECT study_id, segment, degree FROM staged_stenoses ORDER BY study_id, segment
ON CONFLICT (study_id, segment) DO UPDATE SET degree = EXCLUDED.degree
    WHERE d.degree <> EXCLUDED.degree
