-- What the manifests say about an ECG file, by its key without extension.
SELECT patient_id, acquired_at, local_timezone, contradiction
FROM manifest_records
WHERE record_key = :record_key
