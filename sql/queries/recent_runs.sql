-- How did the last scoring runs end? Newest first.
--   limit    number of runs
\if :{?limit} \else \set limit 20 \endif
SELECT started_at, state, model_version, seconds, ecgs_per_second, indexed, scored, quarantined, pending,
       scored_by_run, quarantined_by_run, device, host, run_id, error
FROM scoring_runs
ORDER BY started_at DESC, run_id
LIMIT CAST(:'limit' AS bigint);
