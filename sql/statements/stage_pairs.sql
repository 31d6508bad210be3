-- Pairs of ECG and cath study on their way into ecg_study_pairs.
CREATE TEMP TABLE IF NOT EXISTS staged_pairs (
    content_hash bytea, study_id text, object_id bigint, patient_id text, split text,
    days_before double precision, weight double precision
) ON COMMIT DELETE ROWS
