-- Where the angiograms with these ids lie, and the index of each one's key frame, and how many frames it has.
SELECT v.object_id, o.key, v.key_frame, v.frames
FROM angiogram_views AS v
JOIN objects AS o ON o.id = v.object_id
WHERE v.object_id = ANY(:object_ids) AND v.state = 'ready' AND v.key_frame IS NOT NULL
ORDER BY v.object_id
