-- One row an alert that is not resolved.
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
COMMENT ON COLUMN alerts_open.metric IS 'The metric that the rule looks at.';
COMMENT ON COLUMN alerts_open.model_version IS 'Model it is about.';
COMMENT ON COLUMN alerts_open.slice_key IS 'What the metric is restricted to.';
COMMENT ON COLUMN alerts_open.slice_value IS 'Which one.';
COMMENT ON COLUMN alerts_open.value IS 'The metric when last seen.';
COMMENT ON COLUMN alerts_open.detail IS 'What was found, in words, and what to do; no patient.';
COMMENT ON COLUMN alerts_open.opened_at IS 'When it was raised.';
COMMENT ON COLUMN alerts_open.last_seen_at IS 'When its condition was last found to hold.';
COMMENT ON COLUMN alerts_open.acknowledged_at IS 'When somebody took it up.';
COMMENT ON COLUMN alerts_open.acknowledged_by IS 'Who.';
COMMENT ON COLUMN alerts_open.resolved_at IS 'When it was resolved.';
COMMENT ON COLUMN alerts_open.resolved_by IS 'Who or what resolved it.';
