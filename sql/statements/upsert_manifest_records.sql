-- Take up the staged manifest rows. An ECG of which they change anything goes back to pending: it is read again,
-- and its score and flags move to the right patient.
WITH taken AS (
    INSERT INTO manifest_records AS m (record_key, manifest_key, patient_id, study_id, acquired_at, site, indication)
    SELECT DISTINCT ON (record_key)
           record_key, manifest_key, patient_id, study_id, acquired_at, site, indication
    FROM staged_manifest_records ORDER BY record_key, line DESC
    ON CONFLICT (record_key) DO UPDATE
        SET manifest_key = EXCLUDED.manifest_key, patient_id = EXCLUDED.patient_id,
            study_id = EXCLUDED.study_id, acquired_at = EXCLUDED.acquired_at,
            site = EXCLUDED.site, indication = EXCLUDED.indication
        WHERE (m.patient_id, m.acquired_at, m.site, m.indication)
              IS DISTINCT FROM (EXCLUDED.patient_id, EXCLUDED.acquired_at, EXCLUDED.site, EXCLUDED.indication)
    RETURNING record_key
)
UPDATE worklist AS w
SET state = 'pending', attempt = w.attempt + 1, run_id = NULL, lease_expires_at = NULL, changed_at = now()
FROM taken JOIN objects AS o USING (record_key)
WHERE w.object_id = o.id AND w.state <> 'pending'
