-- Give back what a run still holds. Rows are locked in the order of all writers.
WITH held AS (
    SELECT object_id, model_version
    FROM worklist
    WHERE run_id = :run_id AND state = 'leased'
    ORDER BY object_id
    FOR UPDATE
)
UPDATE worklist AS w
SET state = 'pending', run_id = NULL, lease_expires_at = NULL, attempt = attempt + 1, changed_at = now()
FROM held
WHERE w.object_id = held.object_id AND w.model_version = held.model_version
