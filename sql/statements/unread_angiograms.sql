-- The next angiograms whose header is still to be read.
SELECT v.object_id, o.key, v.etag, o.size_bytes
FROM angiogram_views AS v JOIN objects AS o ON o.id = v.object_id
WHERE v.state = 'pending' AND v.sop_instance_uid IS NULL AND v.object_id > :after
ORDER BY v.object_id
LIMIT :limit
