-- The next angiograms that have a cath study, but no key frame yet, or not enough features by a backbone; and how
-- many angiograms are left in all.
SELECT v.object_id, o.key, v.etag, v.sop_instance_uid, v.key_frame, v.frames, count(*) OVER () AS remaining
FROM angiogram_views AS v
JOIN objects AS o ON o.id = v.object_id
LEFT JOIN angiogram_features AS f ON f.object_id = v.object_id AND f.backbone = :backbone
WHERE v.state <> 'quarantined' AND v.study_id IS NOT NULL AND v.object_id > :after
  AND (v.key_frame IS NULL OR f.object_id IS NULL OR f.etag <> v.etag OR f.versions < :versions
       OR f.frames < :frames)
ORDER BY v.object_id
LIMIT :limit
