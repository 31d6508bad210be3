-- One row per key metric of the champion model, newest values.
CREATE VIEW key_figures WITH (security_invoker = true) AS
SELECT wanted.place,
       wanted.title,
       wanted.unit,
       newest.day,
       newest.value,
       newest.lower,
       newest.upper,
       newest.count
FROM (
    VALUES (1, 'ECGs recorded', 'count', 'ecgs_arrived', NULL),
           (2, 'Files in quarantine', 'percent', 'quarantine_rate', NULL),
           (3, 'Recording to score, median', 'hours', 'latency_hours_median', NULL),
           (4, 'ECGs waiting', 'count', 'backlog', NULL),
           (5, 'Flagged for a stenosis of 70 %', 'percent', 'flag_rate', 'stenosis_70'),
           (6, 'Promised share of flags', 'percent', 'flags_promised', 'stenosis_70'),
           (7, 'AUROC, weighted', 'figure', 'outcome_auroc_weighted', 'stenosis_70'),
           (8, 'AUROC, of those sent', 'figure', 'outcome_auroc', 'stenosis_70'),
           (9, 'Flags that were right, weighted', 'percent', 'outcome_ppv_weighted', 'stenosis_70'),
           (10, 'Flags that were right, of those sent', 'percent', 'outcome_ppv', 'stenosis_70')
) AS wanted (place, title, unit, metric, target)
CROSS JOIN LATERAL (
    SELECT day, value, lower, upper, count
    FROM monitoring_daily
    WHERE monitoring_daily.metric = wanted.metric
      AND dimension IS NULL
      AND subject IS NOT DISTINCT FROM wanted.target
      AND (model_version IS NULL OR model_version = (SELECT version FROM models WHERE state = 'champion'))
    ORDER BY window_end DESC
    LIMIT 1
) AS newest;

COMMENT ON VIEW key_figures IS 'Key metrics of the champion model, newest values.';
COMMENT ON COLUMN key_figures.place IS 'Position in the list.';
COMMENT ON COLUMN key_figures.title IS 'Title of the metric.';
COMMENT ON COLUMN key_figures.unit IS 'count, percent (a share, 0 to 1), hours or figure.';
COMMENT ON COLUMN key_figures.day IS 'Day of the metric.';
COMMENT ON COLUMN key_figures.value IS 'Value of the metric.';
COMMENT ON COLUMN key_figures.lower IS 'Lower end of its 95 % interval.';
COMMENT ON COLUMN key_figures.upper IS 'Upper end of its 95 % interval.';
COMMENT ON COLUMN key_figures.count IS 'Number of observations.';
