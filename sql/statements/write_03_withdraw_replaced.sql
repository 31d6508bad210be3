-- A file was replaced by another ECG: unreviewed flags of the one it held before are void, unless another
-- file holds it.
CREATE TEMP TABLE replaced ON COMMIT DROP AS
SELECT o.id AS object_id, o.content_hash
FROM objects AS o JOIN staged_results AS s ON s.object_id = o.id
WHERE s.reason IS NULL AND o.content_hash <> s.content_hash;
SELECT withdraw_flags(array_agg(f.id), '{open,model_retired}', 'replaced', 'stence', 'its file was replaced')
FROM flags AS f
JOIN replaced AS r USING (content_hash)
WHERE (f.state = 'open' OR f.withdrawn_for = 'model_retired')
  AND NOT EXISTS (
      SELECT FROM objects AS other
      WHERE other.content_hash = r.content_hash AND other.id NOT IN (SELECT object_id FROM replaced)
  )
HAVING count(*) > 0
