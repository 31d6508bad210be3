-- Which alerts were raised, and how did they end? Newest first.
--   limit    number of alerts
\if :{?limit} \else \set limit 50 \endif
SELECT alert_id, severity, state, rule, concat_ws(', ', model_version, slice_value) AS about, opened_at,
       last_seen_at, acknowledged_by, resolved_at, resolved_by
FROM alert_history
ORDER BY alert_id DESC
LIMIT CAST(:'limit' AS bigint);
