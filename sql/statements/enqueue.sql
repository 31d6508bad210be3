-- Put every ECG that the model has not seen, or not in its present content, on the model's worklist.
INSERT INTO worklist AS w (object_id, model_version, etag, state)
SELECT o.id, :model_version, o.etag, 'pending'
FROM objects AS o
WHERE o.kind = 'ecg' AND NOT EXISTS (
    SELECT FROM worklist AS seen
    WHERE seen.object_id = o.id AND seen.model_version = :model_version AND seen.etag = o.etag
)
ORDER BY o.id
ON CONFLICT (object_id, model_version) DO UPDATE
    SET etag = EXCLUDED.etag, state = 'pending', attempt = w.attempt + 1, run_id = NULL,
        lease_expires_at = NULL, changed_at = now()
    WHERE w.etag <> EXCLUDED.etag
