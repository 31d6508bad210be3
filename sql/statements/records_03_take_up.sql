-- Records of which the manifests say something new.
INSERT INTO manifest_records (record_key, patient_id, contradiction, study_id, acquired_at, local_timezone, site,
                              indication)
SELECT record_key, patient_id, contradiction, study_id, acquired_at, local_timezone, site, indication
FROM changed_records
WHERE patient_id IS NOT NULL OR contradiction IS NOT NULL
ORDER BY record_key
ON CONFLICT (record_key) DO UPDATE
    SET patient_id = EXCLUDED.patient_id, contradiction = EXCLUDED.contradiction, study_id = EXCLUDED.study_id,
        acquired_at = EXCLUDED.acquired_at, local_timezone = EXCLUDED.local_timezone, site = EXCLUDED.site,
        indication = EXCLUDED.indication
