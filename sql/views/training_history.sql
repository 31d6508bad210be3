-- One row a training, also where it was skipped, with what came of it.
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

COMMENT ON VIEW training_history IS 'Trainings from cath reports, angiograms and ECGs, and what came of each.';
COMMENT ON COLUMN training_history.run_id IS 'Number of the run.';
COMMENT ON COLUMN training_history.started_at IS 'Start.';
COMMENT ON COLUMN training_history.state IS 'running, finished, skipped, failed or interrupted.';
COMMENT ON COLUMN training_history.stage IS 'What it does, or did last.';
COMMENT ON COLUMN training_history.preset IS 'Name of its configuration.';
COMMENT ON COLUMN training_history.new_pairs IS 'ECG-angiogram pairs that were new since the last finished one.';
COMMENT ON COLUMN training_history.seconds IS 'How long it took, or has taken until now.';
COMMENT ON COLUMN training_history.model_version IS 'The model that came of it.';
COMMENT ON COLUMN training_history.outcome IS 'What became of the model at the gate: shadow or rejected.';
COMMENT ON COLUMN training_history.model_state IS 'Its state now.';
COMMENT ON COLUMN training_history.reasons IS 'Why it was skipped, or what the gate found.';
COMMENT ON COLUMN training_history.auroc_stenosis_70 IS 'AUROC for a stenosis of at least 70 %, on its test patients.';
COMMENT ON COLUMN training_history.data_as_of IS 'Studies, angiograms and ECGs that were known then are in its data.';
COMMENT ON COLUMN training_history.data_fingerprint IS 'SHA-256 over its ECGs, labels, angiograms and splits.';
COMMENT ON COLUMN training_history.finished_at IS 'End; empty while it runs.';
COMMENT ON COLUMN training_history.error IS 'Why it failed.';
