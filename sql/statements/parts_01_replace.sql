-- The files of other names that the batch's headers need, as the headers say now. A file that is needed no more is an
-- ECG of its own again.
WITH gone AS (
    DELETE FROM record_parts AS p
    USING staged_results AS s
    WHERE p.object_id = s.object_id AND s.signals_known
      AND NOT EXISTS (SELECT FROM staged_parts AS n WHERE n.object_id = p.object_id AND n.key = p.key)
    RETURNING p.key
), needed AS (
    INSERT INTO record_parts (object_id, key)
    SELECT object_id, key FROM staged_parts
    WHERE object_id IN (SELECT object_id FROM staged_results)
    ORDER BY object_id, key
    ON CONFLICT DO NOTHING
)
UPDATE objects AS o
SET kind = 'ecg'
FROM gone
WHERE o.key = gone.key AND o.kind = 'signal'
  AND NOT EXISTS (
      SELECT FROM record_parts AS p
      WHERE p.key = gone.key AND p.object_id NOT IN (SELECT object_id FROM staged_results WHERE signals_known)
  )
  AND NOT EXISTS (SELECT FROM staged_parts AS n WHERE n.key = gone.key)
