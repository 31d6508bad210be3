-- ECGs that were read before time zones were kept, with the time of a manifest: in which zone that was read.
UPDATE ecgs AS e
SET local_timezone = c.local_timezone
FROM changed_records AS c JOIN objects AS o USING (record_key)
WHERE NOT c.reopens AND c.local_timezone IS NOT NULL AND o.id = e.object_id AND e.local_timezone IS NULL
  AND e.acquired_at = c.acquired_at
