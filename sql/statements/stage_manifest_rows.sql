-- The rows of one manifest on their way into manifest_rows, and the records that a change is about.
CREATE TEMP TABLE IF NOT EXISTS staged_manifest_rows (
    line bigint, record_key text, patient_id text, number text, study_id text, acquired_at timestamptz, local_timezone text,
    site text, indication text
) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS touched_records (record_key text) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS changed_records (
    record_key text, patient_id text, contradiction text, study_id text, acquired_at timestamptz,
    local_timezone text, site text, indication text, patient_changed boolean,
    reopens boolean
) ON COMMIT DELETE ROWS
