-- Add up the changes of all worklists, so that counting stays fast: one row a model and state, and one for each run of
-- the last day. If another process is at it, nothing is to be done.
WITH turn AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock(hashtext('worklist_tally')) AS mine
), taken AS (
    DELETE FROM worklist_tally AS t USING turn WHERE mine RETURNING t.model_version, t.state, t.run_id, t.ecgs
)
INSERT INTO worklist_tally (model_version, state, run_id, ecgs)
SELECT taken.model_version, taken.state, r.id, sum(taken.ecgs)
FROM taken
LEFT JOIN runs AS r ON r.id = taken.run_id AND coalesce(r.finished_at, now()) > now() - interval '1 day'
GROUP BY taken.model_version, taken.state, r.id
HAVING sum(taken.ecgs) <> 0
