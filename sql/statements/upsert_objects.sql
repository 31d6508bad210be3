-- Record new and changed ECG files from the staged listing; counts of both.
WITH listed AS (
    INSERT INTO objects AS o (key, record_key, etag, size_bytes)
    SELECT key, record_key, etag, size_bytes FROM staged_objects ORDER BY key
    ON CONFLICT (key) DO UPDATE
        SET etag = EXCLUDED.etag, size_bytes = EXCLUDED.size_bytes, changed_at = now()
        WHERE o.etag <> EXCLUDED.etag
    RETURNING xmax = 0 AS is_new
)
SELECT count(*) FILTER (WHERE is_new) AS new, count(*) FILTER (WHERE NOT is_new) AS changed FROM listed
