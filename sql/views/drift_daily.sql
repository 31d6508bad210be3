-- One row per day, compared measure, and slice of the ECGs.
CREATE VIEW drift_daily WITH (security_invoker = true) AS
SELECT day,
       area,
       model_version,
       subject,
       dimension,
       member,
       max(count) AS observations,
       max(value) FILTER (WHERE metric IN ('input_ks', 'score_ks', 'report_ks', 'embedding_mmd')) AS distance,
       max(value) FILTER (WHERE metric IN
           ('input_ks_p', 'score_ks_p', 'report_ks_p', 'embedding_mmd_p', 'category_p')) AS p_value,
       max(value) FILTER (WHERE metric IN ('input_psi', 'score_psi')) AS psi,
       max(value) FILTER (WHERE metric IN ('input_psi_consecutive', 'score_psi_consecutive')) AS psi_consecutive,
       max(value) FILTER (WHERE metric = 'score_mean') AS mean,
       max(lower) FILTER (WHERE metric = 'score_mean') AS mean_lower,
       max(upper) FILTER (WHERE metric = 'score_mean') AS mean_upper,
       max(value) FILTER (WHERE metric = 'score_shift') AS shift,
       max(value) FILTER (WHERE metric = 'score_mean_p') AS shift_p,
       max(value) FILTER (WHERE metric = 'score_ewma') AS ewma,
       max(value) FILTER (WHERE metric = 'score_ewma_p') AS ewma_p,
       max(value) FILTER (WHERE metric = 'model_agreement') AS agreement
FROM monitoring_daily
WHERE area IN ('inputs', 'embeddings', 'scores', 'reports') 
  AND metric NOT IN ('new_category', 'input_missing', 'input_missing_expected', 'input_left_out', 'score_left_out')
GROUP BY day, area, model_version, subject, dimension, member;

COMMENT ON VIEW drift_daily IS
    'Distances of inputs, embeddings, scores and cath reports from the model''s reference, by day.';
COMMENT ON COLUMN drift_daily.day IS 'Last day of the window.';
COMMENT ON COLUMN drift_daily.area IS 'inputs, embeddings, scores or reports (cath).';
COMMENT ON COLUMN drift_daily.model_version IS 'Model of the metric; empty for inputs and cath reports.';
COMMENT ON COLUMN drift_daily.subject IS 'Measure or target, e.g. r_mv.V1 or stenosis_70; empty: all together.';
COMMENT ON COLUMN drift_daily.dimension IS 'device or site; empty: all.';
COMMENT ON COLUMN drift_daily.member IS 'Value of the dimension.';
COMMENT ON COLUMN drift_daily.observations IS 'ECGs, or cath studies, of the window.';
COMMENT ON COLUMN drift_daily.distance IS
    'Distance from the reference: Kolmogorov-Smirnov; for embeddings, maximum mean discrepancy.';
COMMENT ON COLUMN drift_daily.p_value IS
    'Probability of at least this distance by chance, or of these categories; adjusted for all comparisons.';
COMMENT ON COLUMN drift_daily.psi IS 'Population stability index against the reference.';
COMMENT ON COLUMN drift_daily.psi_consecutive IS 'Population stability index against the day before.';
COMMENT ON COLUMN drift_daily.mean IS 'Mean probability; scores only.';
COMMENT ON COLUMN drift_daily.mean_lower IS 'Lower end of its 95 % interval.';
COMMENT ON COLUMN drift_daily.mean_upper IS 'Upper end of its 95 % interval.';
COMMENT ON COLUMN drift_daily.shift IS
    'Shift of the mean from days of the same kind (weekdays or weekends), in standard deviations; scores only.';
COMMENT ON COLUMN drift_daily.shift_p IS 'Probability of at least this shift by chance, adjusted for all targets.';
COMMENT ON COLUMN drift_daily.ewma IS
    'Moving average of the shift over about three weeks (EWMA), in standard deviations; scores only.';
COMMENT ON COLUMN drift_daily.ewma_p IS
    'Probability of at least this average by chance, adjusted for all targets.';
COMMENT ON COLUMN drift_daily.agreement IS
    'Rank correlation with the last champion, over ECGs that both scored; scores only.';
