-- What are the metrics of a run? Counts, seconds by stage (stages overlap), refusals by reason, flags by target.
--   run      the run's number; default: the last run that was measured
\if :{?run} \else \set run '' \endif
SELECT run_id, model_version, name, slice_value AS of, value
FROM monitoring_metrics
WHERE run_id = coalesce(
    CAST(nullif(:'run', '') AS uuid),
    (SELECT run_id FROM monitoring_metrics WHERE run_id IS NOT NULL ORDER BY id DESC LIMIT 1)
)
ORDER BY id;
