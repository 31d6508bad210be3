-- One row per training, including skipped trainings, with the outcome.
CREATE VIEW training_history WITH (security_invoker = true) AS
SELECT runs.id AS run_id,
       runs.started_at,
       runs.state,
       runs.stage,
       runs.preset,
       runs.new_pairs,
       CAST(extract(epoch FROM coalesce(runs.finished_at, now()) - runs.started_at) AS double precision)
           AS seconds,
       runs.model_version,
       runs.outcome,
       models.state AS model_state,
       array_to_string(runs.reasons, '; ') AS reasons,
       CAST(models.manifest #>> '{metrics,stenosis_70,auroc,value}' AS double precision) AS auroc_stenosis_70,
       runs.data_as_of,
       runs.data_fingerprint,
       runs.finished_at,
       runs.error
FROM training_runs AS runs
LEFT JOIN models ON models.version = runs.model_version;

COMMENT ON VIEW training_history IS 'Trainings from cath reports, angiograms and ECGs, with the outcome of each.';
COMMENT ON COLUMN training_history.run_id IS 'Number of the run.';
COMMENT ON COLUMN training_history.started_at IS 'Start.';
COMMENT ON COLUMN training_history.state IS 'running, finished, skipped, failed, interrupted (by a person or signal) or abandoned (its process was killed).';
COMMENT ON COLUMN training_history.stage IS 'Current or last stage.';
COMMENT ON COLUMN training_history.preset IS 'Name of its configuration.';
COMMENT ON COLUMN training_history.new_pairs IS 'New ECG-angiogram pairs since the last finished training.';
COMMENT ON COLUMN training_history.seconds IS 'Duration, until now if the run is not over.';
COMMENT ON COLUMN training_history.model_version IS 'Model that the training created.';
COMMENT ON COLUMN training_history.outcome IS 'Outcome of the gate: shadow, candidate (the gate cannot tell) or rejected.';
COMMENT ON COLUMN training_history.model_state IS 'Present state of the model.';
COMMENT ON COLUMN training_history.reasons IS 'Reason for skipping, or findings of the gate.';
COMMENT ON COLUMN training_history.auroc_stenosis_70 IS 'AUROC for a stenosis of at least 70 %, on its test patients.';
COMMENT ON COLUMN training_history.data_as_of IS 'Time of the data: studies, angiograms and ECGs known by then.';
COMMENT ON COLUMN training_history.data_fingerprint IS 'SHA-256 over its ECGs, labels, angiograms and splits.';
COMMENT ON COLUMN training_history.finished_at IS 'End; empty while it runs.';
COMMENT ON COLUMN training_history.error IS 'Error of a failed run.';
