-- Did the monitor run? Newest first.
--   limit    number of rows
\if :{?limit} \else \set limit 7 \endif
SELECT started_at, finished_at, state, days, metrics, alerts_opened
FROM monitoring_runs
ORDER BY started_at DESC, run_id
LIMIT CAST(:'limit' AS bigint);
