-- One row an ECG, however many files hold it. The update also locks the row: of two writers of the same
-- content the second waits, and then sees whom the first wrote it for.
INSERT INTO ecgs AS e (content_hash, patient_id, acquired_at, device, sex, age, sampling_rate, seconds,
                       warnings, object_id, site, indication)
SELECT DISTINCT ON (content_hash)
       content_hash, patient_id, acquired_at, device, sex, age, sampling_rate, seconds, warnings, object_id,
       site, indication
FROM staged_results
WHERE reason IS NULL
ORDER BY content_hash, object_id
ON CONFLICT (content_hash) DO UPDATE
    SET patient_id = EXCLUDED.patient_id, acquired_at = EXCLUDED.acquired_at, site = EXCLUDED.site,
        indication = EXCLUDED.indication
