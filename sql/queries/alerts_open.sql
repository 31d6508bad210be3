-- Which alerts are not resolved? With the action for each, most severe first.
SELECT alert_id, severity, state, rule, concat_ws(', ', model_version, slice_value) AS about, opened_at,
       last_seen_at, acknowledged_by, detail
FROM alerts_open
ORDER BY array_position(ARRAY['critical', 'warning', 'info'], severity), opened_at, alert_id;
