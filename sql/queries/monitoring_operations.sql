-- Do ECGs arrive, and are they scored in time? By day.
--   until    last day
--   days     number of days up to the last day
\if :{?until} \else \set until today \endif
\if :{?days} \else \set days 60 \endif
SELECT day, ecgs_arrived, feed_ratio, feed_p, quarantine_rate, quarantine_lower, quarantine_upper, ecgs_scored, backlog,
       backlog_age_hours, latency_hours_median, latency_hours_p95, ecgs_per_second, runs_failed
FROM operations_daily
WHERE day > CAST(:'until' AS date) - CAST(:'days' AS integer) AND day <= CAST(:'until' AS date)
  AND coalesce(model_version = (SELECT version FROM model_versions WHERE state = 'champion'), true)
ORDER BY day;
