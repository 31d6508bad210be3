-- What it says of them now. A line that held another record before was that record's, which is touched as well.
INSERT INTO manifest_rows (manifest_key, line, record_key, patient_id, study_id, acquired_at, local_timezone,
                           site, indication)
SELECT :manifest_key, line, record_key, patient_id, study_id, acquired_at, local_timezone, site, indication
FROM staged_manifest_rows
WHERE record_key IN (SELECT record_key FROM touched_records)
ORDER BY line
