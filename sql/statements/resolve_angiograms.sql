-- Angiograms leave quarantine when they are ready, or when another content came in their place and was read.
UPDATE quarantine AS q
SET state = 'resolved', closed_by = 'stence', closed_at = now()
FROM angiogram_views AS v
WHERE q.object_id = v.object_id
  AND (q.state IN ('open', 'retried') AND v.state = 'ready'
       OR q.state = 'open' AND q.etag <> v.etag AND v.state = 'pending' AND v.sop_instance_uid IS NOT NULL)
