-- What became of a batch: scored ECGs (reason is NULL) and refused ones.
CREATE TEMP TABLE IF NOT EXISTS staged_results (
    object_id bigint, attempt integer, etag text,
    content_hash bytea, patient_id text, acquired_at timestamptz, device text, sex text, age double precision,
    sampling_rate double precision, seconds double precision, warnings text[], site text, indication text,
    stenosis_50 double precision, stenosis_70 double precision, stenosis_90 double precision,
    stenosis_100 double precision, rca_70 double precision, lca_70 double precision,
    heart_rate double precision, r_mv double precision[], s_mv double precision[], noise_uv double precision[],
    sketch real[],
    reason text, detail text, lead text, value double precision
) ON COMMIT DELETE ROWS
