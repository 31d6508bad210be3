-- Record new and changed files of one kind from the staged listing; counts of both. A key keeps its kind.
WITH listed AS (
    INSERT INTO objects AS o (key, record_key, listed_etag, etag, size_bytes, kind)
    SELECT key, record_key, listed_etag, listed_etag, size_bytes, :kind FROM staged_objects ORDER BY key
    ON CONFLICT (key) DO UPDATE
        SET listed_etag = EXCLUDED.listed_etag, etag = EXCLUDED.etag, size_bytes = EXCLUDED.size_bytes,
            kind = CASE o.kind WHEN 'gone' THEN EXCLUDED.kind ELSE o.kind END, changed_at = now()
        WHERE o.listed_etag <> EXCLUDED.listed_etag
          AND CASE WHEN o.kind IN ('signal', 'gone') THEN 'ecg' ELSE o.kind END = EXCLUDED.kind
    RETURNING xmax = 0 AS is_new
)
SELECT count(*) FILTER (WHERE is_new) AS new, count(*) FILTER (WHERE NOT is_new) AS changed FROM listed
