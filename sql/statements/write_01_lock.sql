-- Lock the batch's rows of the worklist, in one order for all writers.
SELECT w.object_id
FROM worklist AS w JOIN staged_results AS s USING (object_id)
WHERE w.model_version = :model_version
ORDER BY w.object_id
FOR UPDATE OF w
