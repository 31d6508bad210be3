-- Where the angiograms with these ids lie, and the index of each one's key frame.
SELECT v.object_id, o.key, v.key_frame
FROM angiogram_views AS v
JOIN objects AS o ON o.id = v.object_id
WHERE v.object_id = ANY(:object_ids) AND v.state = 'ready' AND v.key_frame IS NOT NULL
ORDER BY v.object_id
