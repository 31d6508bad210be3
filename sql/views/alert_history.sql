-- One row per alert in any state.
CREATE VIEW alert_history WITH (security_invoker = true) AS
SELECT id AS alert_id,
       severity,
       state,
       CASE WHEN metric LIKE 'input\_%' OR metric IN ('category_p', 'new_category') THEN 'inputs'
            WHEN metric LIKE 'embedding\_%' THEN 'embeddings'
            WHEN metric LIKE 'score\_%' OR metric = 'model_agreement' THEN 'scores'
            WHEN metric LIKE 'flag%' THEN 'workload'
            WHEN metric LIKE 'report\_%' THEN 'reports'
            WHEN metric LIKE 'outcome\_%' OR metric LIKE 'expected\_%' OR metric LIKE 'promised\_%' THEN 'outcomes'
            ELSE 'operations' END AS area,
       rule,
       metric,
       model_version,
       slice_key,
       slice_value,
       value,
       detail,
       opened_at,
       last_seen_at,
       acknowledged_at,
       acknowledged_by,
       resolved_at,
       resolved_by
FROM alerts;

COMMENT ON VIEW alert_history IS 'All alerts, including resolved alerts.';
COMMENT ON COLUMN alert_history.alert_id IS 'Number of the alert.';
COMMENT ON COLUMN alert_history.severity IS 'info, warning or critical.';
COMMENT ON COLUMN alert_history.state IS 'open, acknowledged or resolved.';
COMMENT ON COLUMN alert_history.area IS
    'Part of the monitoring: operations, inputs, embeddings, scores, workload, reports (cath) or outcomes.';
COMMENT ON COLUMN alert_history.rule IS 'Name of the rule.';
COMMENT ON COLUMN alert_history.metric IS 'Metric that the rule examines.';
COMMENT ON COLUMN alert_history.model_version IS 'Model of the metric.';
COMMENT ON COLUMN alert_history.slice_key IS 'Kind of slice that the metric is restricted to, e.g. device.';
COMMENT ON COLUMN alert_history.slice_value IS 'Value of the slice, e.g. the device''s name.';
COMMENT ON COLUMN alert_history.value IS 'Last value of the metric.';
COMMENT ON COLUMN alert_history.detail IS 'Finding and action, in words; names no patient.';
COMMENT ON COLUMN alert_history.opened_at IS 'Time at which the alert was opened.';
COMMENT ON COLUMN alert_history.last_seen_at IS 'Last time at which the condition held.';
COMMENT ON COLUMN alert_history.acknowledged_at IS 'Time at which a person acknowledged the alert.';
COMMENT ON COLUMN alert_history.acknowledged_by IS 'Person who acknowledged the alert.';
COMMENT ON COLUMN alert_history.resolved_at IS 'Time at which the alert was resolved.';
COMMENT ON COLUMN alert_history.resolved_by IS 'Person who resolved the alert, or stence.';
