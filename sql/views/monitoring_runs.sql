-- One row per monitor run.
CREATE VIEW monitoring_runs WITH (security_invoker = true) AS
SELECT id AS run_id,
       started_at,
       finished_at,
       state,
       days,
       metrics,
       alerts_opened,
       error
FROM monitor_runs;

COMMENT ON VIEW monitoring_runs IS 'Monitor runs, with their numbers of metrics and alerts.';
COMMENT ON COLUMN monitoring_runs.run_id IS 'Number of the run.';
COMMENT ON COLUMN monitoring_runs.started_at IS 'Start.';
COMMENT ON COLUMN monitoring_runs.finished_at IS 'End; empty while it runs.';
COMMENT ON COLUMN monitoring_runs.state IS 'running, finished, interrupted (by a person or signal), abandoned (its process was killed) or failed.';
COMMENT ON COLUMN monitoring_runs.days IS 'Number of monitored days.';
COMMENT ON COLUMN monitoring_runs.metrics IS 'Number of metrics.';
COMMENT ON COLUMN monitoring_runs.alerts_opened IS 'Number of raised alerts.';
COMMENT ON COLUMN monitoring_runs.error IS 'Error of a failed run.';
