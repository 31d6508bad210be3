-- Angiograms on their way into quarantine.
CREATE TEMP TABLE IF NOT EXISTS staged_refused_angiograms (
    object_id bigint, etag text, reason text, detail text
) ON COMMIT DELETE ROWS
