-- Which alerts are open? Most severe first.
SELECT alert_id, severity, state, area, rule, slice_key, slice_value, value, detail, opened_at, last_seen_at,
       acknowledged_by
FROM alerts_open
ORDER BY array_position(ARRAY['critical', 'warning', 'info'], severity), opened_at, alert_id;
