-- Which claims of a run no other scorer has taken over.
SELECT object_id, attempt
FROM worklist
WHERE model_version = :model_version AND run_id = :run_id AND state = 'leased'
  AND object_id = ANY(CAST(:object_ids AS bigint[]))
