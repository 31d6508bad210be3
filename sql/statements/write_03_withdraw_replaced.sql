-- A file was replaced by another ECG: unreviewed flags of the one it held before are void, unless another
-- file holds it.
UPDATE flags AS f
SET state = 'withdrawn', withdrawn_for = 'replaced', reviewed_at = now(), reviewed_by = 'stence',
    note = 'its file was replaced'
FROM objects AS o JOIN staged_results AS s ON s.object_id = o.id
WHERE s.reason IS NULL AND o.content_hash <> s.content_hash
  AND f.content_hash = o.content_hash AND f.state = 'open'
  AND NOT EXISTS (SELECT FROM objects AS other WHERE other.content_hash = o.content_hash AND other.id <> o.id)
