-- Every angiogram gets a row that says where it is; one whose content changed begins anew, to be read.
INSERT INTO angiogram_views AS v (object_id, etag, state)
SELECT o.id, o.etag, 'pending'
FROM objects AS o
WHERE o.kind = 'angiogram'
  AND NOT EXISTS (SELECT FROM angiogram_views AS seen WHERE seen.object_id = o.id AND seen.etag = o.etag)
ORDER BY o.id
ON CONFLICT (object_id) DO UPDATE
    SET etag = EXCLUDED.etag, state = 'pending', sop_instance_uid = NULL, key_frame = NULL, study_id = NULL,
        changed_at = now()
    WHERE v.etag <> EXCLUDED.etag
