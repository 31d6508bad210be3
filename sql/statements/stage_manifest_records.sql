-- Manifest rows on their way into manifest_records.
CREATE TEMP TABLE IF NOT EXISTS staged_manifest_records (
    line bigint, record_key text, manifest_key text, patient_id text, study_id text, acquired_at timestamptz,
    site text, indication text
) ON COMMIT DELETE ROWS
