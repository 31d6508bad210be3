-- Keep a run, and what it holds, from being taken for dead. Rows are locked in the order of all writers.
WITH alive AS (
    UPDATE runs SET lease_expires_at = clock_timestamp() + make_interval(secs => :lease_seconds)
    WHERE id = :run_id AND state = 'running'
), held AS (
    SELECT object_id, model_version
    FROM worklist
    WHERE run_id = :run_id AND state = 'leased'
    ORDER BY object_id
    FOR UPDATE
)
UPDATE worklist AS w
SET lease_expires_at = clock_timestamp() + make_interval(secs => :lease_seconds)
FROM held
WHERE w.object_id = held.object_id AND w.model_version = held.model_version
