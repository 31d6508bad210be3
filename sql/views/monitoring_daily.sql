-- One row per metric, day, slice and model.
-- A window ends at midnight in the hospital's timezone. Eleven hours earlier, the date in UTC is the window's
-- last day, for timezones from 13 hours east of Greenwich to 11 hours west.
CREATE VIEW monitoring_daily WITH (security_invoker = true) AS
SELECT CAST((window_end - interval '11 hours') AT TIME ZONE 'UTC' AS date) AS day,
       CASE WHEN name LIKE 'input\_%' OR name IN ('category_p', 'new_category') THEN 'inputs'
            WHEN name LIKE 'embedding\_%' THEN 'embeddings'
            WHEN name LIKE 'score\_%' OR name = 'model_agreement' THEN 'scores'
            WHEN name LIKE 'flag%' THEN 'workload'
            WHEN name LIKE 'report\_%' THEN 'reports'
            WHEN name LIKE 'outcome\_%' OR name LIKE 'expected\_%' OR name LIKE 'promised\_%' THEN 'outcomes'
            ELSE 'operations' END AS area,
       name AS metric,
       model_version,
       CASE WHEN slice_key LIKE 'measure%' OR slice_key LIKE 'target%'
            THEN split_part(slice_value, '|', 1) END AS subject,
       CASE WHEN slice_key LIKE 'measure|%' OR slice_key LIKE 'target|%' THEN split_part(slice_key, '|', 2)
            WHEN slice_key NOT IN ('measure', 'target') THEN slice_key END AS dimension,
       CASE WHEN slice_key LIKE 'measure|%' OR slice_key LIKE 'target|%'
            THEN substr(slice_value, strpos(slice_value, '|') + 1)
            WHEN slice_key NOT IN ('measure', 'target') THEN slice_value END AS member,
       value,
       lower,
       upper,
       count,
       window_start,
       window_end,
       measured_at
FROM monitoring_metrics
WHERE run_id IS NULL;

COMMENT ON VIEW monitoring_daily IS 'Metrics of monitoring by day, slice and model; newest measurement only.';
COMMENT ON COLUMN monitoring_daily.day IS 'Last day of the window, in the hospital''s timezone.';
COMMENT ON COLUMN monitoring_daily.area IS
    'Part of monitoring: operations, inputs, embeddings, scores, workload, reports (cath) or outcomes.';
COMMENT ON COLUMN monitoring_daily.metric IS 'Name of the metric, with its unit.';
COMMENT ON COLUMN monitoring_daily.model_version IS 'Model of the metric; empty without a model.';
COMMENT ON COLUMN monitoring_daily.subject IS 'Measure or target, e.g. r_mv.V1 or stenosis_70.';
COMMENT ON COLUMN monitoring_daily.dimension IS
    'Dimension of the slice, e.g. device, site, sex or reason; empty: all.';
COMMENT ON COLUMN monitoring_daily.member IS 'Value of the dimension, e.g. the device''s name.';
COMMENT ON COLUMN monitoring_daily.value IS 'Value of the metric.';
COMMENT ON COLUMN monitoring_daily.lower IS 'Lower end of its 95 % interval.';
COMMENT ON COLUMN monitoring_daily.upper IS 'Upper end of its 95 % interval.';
COMMENT ON COLUMN monitoring_daily.count IS 'Number of observations.';
COMMENT ON COLUMN monitoring_daily.window_start IS 'Start of the window.';
COMMENT ON COLUMN monitoring_daily.window_end IS 'End of the window.';
COMMENT ON COLUMN monitoring_daily.measured_at IS 'Time of the computation.';
