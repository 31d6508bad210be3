-- All cath reports on their way into cath_studies and segment_stenoses.
CREATE TEMP TABLE IF NOT EXISTS staged_studies (
    study_id text, patient_id text, performed_at timestamptz, split text, max_degree double precision,
    intervention_at timestamptz, report_key text, fingerprint text
) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS staged_stenoses (
    study_id text, segment integer, degree double precision
) ON COMMIT DELETE ROWS
