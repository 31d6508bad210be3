-- One row per alert that is not resolved.
CREATE VIEW alerts_open WITH (security_invoker = true) AS
SELECT *
FROM alert_history
WHERE state <> 'resolved';

COMMENT ON VIEW alerts_open IS 'Alerts that are open or acknowledged.';
COMMENT ON COLUMN alerts_open.alert_id IS 'Number of the alert.';
COMMENT ON COLUMN alerts_open.severity IS 'info, warning or critical.';
COMMENT ON COLUMN alerts_open.state IS 'open, acknowledged or resolved.';
COMMENT ON COLUMN alerts_open.area IS
    'Part of the monitoring: operations, inputs, embeddings, scores, workload, reports (cath) or outcomes.';
COMMENT ON COLUMN alerts_open.rule IS 'Name of the rule.';
COMMENT ON COLUMN alerts_open.metric IS 'Metric that the rule examines.';
COMMENT ON COLUMN alerts_open.model_version IS 'Model of the metric.';
COMMENT ON COLUMN alerts_open.slice_key IS 'Kind of slice that the metric is restricted to, e.g. device.';
COMMENT ON COLUMN alerts_open.slice_value IS 'Value of the slice, e.g. the device''s name.';
COMMENT ON COLUMN alerts_open.value IS 'Last value of the metric.';
COMMENT ON COLUMN alerts_open.detail IS 'Finding and action, in words; names no patient.';
COMMENT ON COLUMN alerts_open.opened_at IS 'Time at which the alert was opened.';
COMMENT ON COLUMN alerts_open.last_seen_at IS 'Last time at which the condition held.';
COMMENT ON COLUMN alerts_open.acknowledged_at IS 'Time at which a person acknowledged the alert.';
COMMENT ON COLUMN alerts_open.acknowledged_by IS 'Person who acknowledged the alert.';
COMMENT ON COLUMN alerts_open.resolved_at IS 'Time at which the alert was resolved.';
COMMENT ON COLUMN alerts_open.resolved_by IS 'Person who resolved the alert, or stence.';
