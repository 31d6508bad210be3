-- What a person left for good stays so, whichever model looks at it and however often the file is touched: by its
-- version, or by the ECG that was read from it.
WITH dismissed AS (
    DELETE FROM staged_results AS s
    USING quarantine AS q
    WHERE q.object_id = s.object_id AND q.state = 'dismissed'
      AND (q.etag = s.etag OR s.content_hash IS NOT NULL AND q.content_hash = s.content_hash)
    RETURNING s.object_id, s.etag
)
UPDATE worklist AS w
SET state = 'quarantined', etag = d.etag, lease_expires_at = NULL, changed_at = now()
FROM dismissed AS d
WHERE w.object_id = d.object_id AND w.model_version = :model_version
