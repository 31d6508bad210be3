-- Which alerts were raised or resolved since a time? Oldest first.
--   since    start of the period
\if :{?since} \else \set since yesterday \endif
SELECT alert_id, severity, state, area, rule, slice_value, opened_at, resolved_at, resolved_by
FROM alert_history
WHERE opened_at > CAST(:'since' AS timestamptz) OR resolved_at > CAST(:'since' AS timestamptz)
ORDER BY alert_id;
