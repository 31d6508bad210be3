-- One row a day, what was compared with the reference, and the part of the ECGs that was looked at.
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
       max(value) FILTER (WHERE metric = 'model_agreement') AS agreement
FROM monitoring_daily
WHERE area IN ('inputs', 'embeddings', 'scores', 'reports') 
  AND metric NOT IN ('new_category', 'input_missing', 'input_missing_expected')
GROUP BY day, area, model_version, subject, dimension, member;

COMMENT ON VIEW drift_daily IS
    'How far inputs, embeddings, scores and cath reports lie from the model''s reference, by day.';
COMMENT ON COLUMN drift_daily.day IS 'Day, the last one of its window.';
COMMENT ON COLUMN drift_daily.area IS 'inputs, embeddings, scores or reports (cath).';
COMMENT ON COLUMN drift_daily.model_version IS 'Model it is about; empty for inputs and cath reports.';
COMMENT ON COLUMN drift_daily.subject IS 'Measure or target, e.g. r_mv.V1 or stenosis_70; empty: all together.';
COMMENT ON COLUMN drift_daily.dimension IS 'device or site; empty: all.';
COMMENT ON COLUMN drift_daily.member IS 'Which one.';
COMMENT ON COLUMN drift_daily.observations IS 'ECGs, or cath studies, of the window.';
COMMENT ON COLUMN drift_daily.distance IS
    'Distance from the reference: Kolmogorov-Smirnov, of embeddings the maximum mean discrepancy.';
COMMENT ON COLUMN drift_daily.p_value IS
    'How likely such a distance, or such categories, would be by chance; adjusted for all that were compared.';
COMMENT ON COLUMN drift_daily.psi IS 'Population stability index against the reference.';
COMMENT ON COLUMN drift_daily.psi_consecutive IS 'The same against the day before.';
COMMENT ON COLUMN drift_daily.mean IS 'Mean probability; scores only.';
COMMENT ON COLUMN drift_daily.mean_lower IS 'Lower end of its 95 % interval.';
COMMENT ON COLUMN drift_daily.mean_upper IS 'Upper end of its 95 % interval.';
COMMENT ON COLUMN drift_daily.shift IS
    'How far the mean moved from the reference, in standard deviations; scores only.';
COMMENT ON COLUMN drift_daily.shift_p IS 'How likely such a shift would be by chance, adjusted for all targets.';
COMMENT ON COLUMN drift_daily.agreement IS
    'Rank correlation with the champion before, over ECGs that both scored; scores only.';
