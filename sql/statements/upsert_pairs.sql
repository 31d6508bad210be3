-- Take up the staged pairs, unless their study was withdrawn since they were planned.
INSERT INTO ecg_study_pairs AS p (content_hash, study_id, object_id, patient_id, split, days_before, weight)
SELECT s.content_hash, s.study_id, s.object_id, s.patient_id, s.split, s.days_before, s.weight
FROM staged_pairs AS s JOIN cath_studies USING (study_id)
ORDER BY s.content_hash
ON CONFLICT (content_hash) DO UPDATE
    SET study_id = EXCLUDED.study_id, object_id = EXCLUDED.object_id, patient_id = EXCLUDED.patient_id,
        split = EXCLUDED.split, days_before = EXCLUDED.days_before, weight = EXCLUDED.weight
