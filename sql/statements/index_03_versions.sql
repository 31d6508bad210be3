-- The version of a record covers all files that its header needs: it is another when one of those is.
UPDATE objects AS o
SET etag = v.etag, changed_at = now()
FROM record_versions AS v
WHERE v.object_id = o.id AND o.etag <> v.etag
  AND v.object_id IN (
      SELECT p.object_id FROM record_parts AS p JOIN staged_objects AS s ON s.key = p.key
      UNION
      SELECT p.object_id FROM record_parts AS p
      JOIN objects AS h ON h.id = p.object_id JOIN staged_objects AS s ON s.key = h.key
  )
