-- Mark the batch as done, in the transaction that wrote it.
UPDATE worklist AS w
SET state = CASE WHEN s.reason IS NULL AND s.object_id NOT IN (SELECT object_id FROM conflicts)
                 THEN 'scored' ELSE 'quarantined' END,
    etag = s.etag, lease_expires_at = NULL, changed_at = now()
FROM staged_results AS s
WHERE w.object_id = s.object_id AND w.model_version = :model_version
