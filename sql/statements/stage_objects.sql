-- A listing on its way into objects.
CREATE TEMP TABLE IF NOT EXISTS staged_objects (
    key text, record_key text, listed_etag text, size_bytes bigint
) ON COMMIT DELETE ROWS
