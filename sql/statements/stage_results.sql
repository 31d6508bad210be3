-- What became of a batch: scored ECGs (reason is NULL) and refused ones, and the signal files of other names that
-- their headers need.
CREATE TEMP TABLE IF NOT EXISTS staged_results (
    object_id bigint, attempt integer, etag text, signals_known boolean,
    content_hash bytea, patient_id text, number text, acquired_at timestamptz, local_timezone text, device text, sex text,
    age double precision, sampling_rate double precision, seconds double precision, warnings text[], site text,
    indication text, format text, device_serial text, filters text, measurements jsonb, statements text[],
    fingerprint smallint[],
    stenosis_50 double precision, stenosis_70 double precision, stenosis_90 double precision,
    stenosis_100 double precision, rca_70 double precision, lca_70 double precision,
    heart_rate double precision, r_mv double precision[], s_mv double precision[], noise_uv double precision[],
    sketch real[],
    lower double precision[], upper double precision[], novelty double precision, unlike boolean,
    reason text, detail text, lead text, value double precision
) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS staged_parts (object_id bigint, key text) ON COMMIT DELETE ROWS
