-- One row a run of the monitor.
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

COMMENT ON VIEW monitoring_runs IS 'Runs of the monitor: what they measured and raised.';
COMMENT ON COLUMN monitoring_runs.run_id IS 'Number of the run.';
COMMENT ON COLUMN monitoring_runs.started_at IS 'Start.';
COMMENT ON COLUMN monitoring_runs.finished_at IS 'End; empty while it runs.';
COMMENT ON COLUMN monitoring_runs.state IS 'running, finished, interrupted or failed.';
COMMENT ON COLUMN monitoring_runs.days IS 'How many days it looked at.';
COMMENT ON COLUMN monitoring_runs.metrics IS 'How many figures it wrote.';
COMMENT ON COLUMN monitoring_runs.alerts_opened IS 'How many alerts it raised.';
COMMENT ON COLUMN monitoring_runs.error IS 'Why it failed.';
