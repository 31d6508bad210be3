-- One row per scoring run, with its counts and derived values.
CREATE VIEW scoring_runs WITH (security_invoker = true) AS
SELECT runs.id AS run_id,
       runs.model_version,
       runs.state,
       runs.started_at,
       runs.finished_at,
       took.seconds,
       runs.indexed,
       runs.scored,
       runs.quarantined,
       runs.pending,
       runs.scored_by_run,
       runs.quarantined_by_run,
       (runs.scored_by_run + runs.quarantined_by_run) / nullif(took.seconds, 0) AS ecgs_per_second,
       100.0 * (runs.scored + runs.quarantined) / nullif(runs.indexed, 0) AS done_percent,
       100.0 * runs.quarantined / nullif(runs.scored + runs.quarantined, 0) AS quarantined_percent,
       runs.preprocessing_version,
       runs.gate_version,
       runs.code_version,
       runs.device,
       runs.form,
       runs.host,
       runs.error
FROM runs
CROSS JOIN LATERAL (
    SELECT CAST(extract(epoch FROM coalesce(runs.finished_at, now()) - runs.started_at) AS double precision)
           AS seconds
) AS took;

COMMENT ON VIEW scoring_runs IS 'Scoring runs, with counts of ECGs by state and their speed.';
COMMENT ON COLUMN scoring_runs.run_id IS 'Number of the run.';
COMMENT ON COLUMN scoring_runs.model_version IS 'Model of the run.';
COMMENT ON COLUMN scoring_runs.state IS 'running, finished, interrupted (by a person or signal), abandoned (its process was killed) or failed.';
COMMENT ON COLUMN scoring_runs.started_at IS 'Start.';
COMMENT ON COLUMN scoring_runs.finished_at IS 'End; empty while it runs.';
COMMENT ON COLUMN scoring_runs.seconds IS 'Duration, until now if the run is not over.';
COMMENT ON COLUMN scoring_runs.indexed IS 'ECGs on the model''s worklist at the end = scored + quarantined + pending.';
COMMENT ON COLUMN scoring_runs.scored IS 'Of these: scored, by any run.';
COMMENT ON COLUMN scoring_runs.quarantined IS 'Of these: in quarantine.';
COMMENT ON COLUMN scoring_runs.pending IS 'Of these: not yet scored.';
COMMENT ON COLUMN scoring_runs.scored_by_run IS 'Scored by this run.';
COMMENT ON COLUMN scoring_runs.quarantined_by_run IS 'Put into quarantine by this run.';
COMMENT ON COLUMN scoring_runs.ecgs_per_second IS 'ECGs that this run scored or quarantined, a second.';
COMMENT ON COLUMN scoring_runs.done_percent IS 'Share of the indexed ECGs that are scored or in quarantine.';
COMMENT ON COLUMN scoring_runs.quarantined_percent IS 'Share of these that are in quarantine.';
COMMENT ON COLUMN scoring_runs.preprocessing_version IS 'Version of the preprocessing.';
COMMENT ON COLUMN scoring_runs.gate_version IS 'Version of the quality check, with a digest of limits that are not the defaults; empty: an earlier release.';
COMMENT ON COLUMN scoring_runs.code_version IS 'Version of stence.';
COMMENT ON COLUMN scoring_runs.device IS 'Device of the model: cpu or cuda.';
COMMENT ON COLUMN scoring_runs.form IS 'Numeric form of the scores: fp32, or another that was measured against it.';
COMMENT ON COLUMN scoring_runs.host IS 'Machine that ran it.';
COMMENT ON COLUMN scoring_runs.error IS 'Error of a failed run.';
