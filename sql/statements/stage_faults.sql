-- Rows of sources that cannot be used, on their way into source_faults.
CREATE TEMP TABLE IF NOT EXISTS staged_faults (
    source_key text, line bigint, reason text
) ON COMMIT DELETE ROWS
