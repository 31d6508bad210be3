-- Angiograms that a training can use: ready, with a study and features of enough versions and frames. A run that was sent
-- twice counts once.
SELECT DISTINCT ON (v.study_id COLLATE "C", v.sop_instance_uid COLLATE "C")
       v.study_id, v.sop_instance_uid, v.object_id, v.etag, v.key_frame, v.frames, v.primary_angle,
       v.secondary_angle
FROM angiogram_views AS v
JOIN angiogram_features AS f ON f.object_id = v.object_id AND f.etag = v.etag
WHERE v.state = 'ready' AND v.study_id IS NOT NULL AND f.backbone = :backbone AND f.versions >= :versions
  AND f.frames >= :frames
ORDER BY v.study_id COLLATE "C", v.sop_instance_uid COLLATE "C", v.object_id
