-- One row per change of a model's state.
CREATE VIEW model_changes WITH (security_invoker = true) AS
SELECT id AS change_id,
       changed_at,
       version,
       from_state,
       to_state,
       changed_by,
       reason,
       ungated
FROM model_events;

COMMENT ON VIEW model_changes IS 'The history of the models'' states.';
COMMENT ON COLUMN model_changes.change_id IS 'Order of the changes.';
COMMENT ON COLUMN model_changes.changed_at IS 'Time of the change.';
COMMENT ON COLUMN model_changes.version IS 'Model version.';
COMMENT ON COLUMN model_changes.from_state IS 'State before; empty at registration.';
COMMENT ON COLUMN model_changes.to_state IS 'State after.';
COMMENT ON COLUMN model_changes.changed_by IS 'Author of the change.';
COMMENT ON COLUMN model_changes.reason IS 'Reason.';
COMMENT ON COLUMN model_changes.ungated IS 'True for a promotion without a verdict of the gate.';
