-- One row per figure of outcomes, window, model, target and slice, for three populations, each named by its columns:
-- naive (referred patients), weighted (all scored patients) and overlap (patients whose referral was open).
-- Beside each figure stands what it rests on. A withheld figure is empty and has a reason. All are per patient.
CREATE VIEW outcome_figures WITH (security_invoker = true) AS
WITH behind AS (
    SELECT day, model_version, subject, dimension, member, window_start, window_end,
           max(value) FILTER (WHERE metric = 'outcome_clipped_share') AS clipped_share,
           max(value) FILTER (WHERE metric = 'outcome_smallest_propensity') AS smallest_propensity,
           max(value) FILTER (WHERE metric = 'outcome_censored') AS censored,
           max(value) FILTER (WHERE metric = 'outcome_count') AS ecgs,
           max(value) FILTER (WHERE metric = 'outcome_effective_size') AS naive_effective,
           max(value) FILTER (WHERE metric = 'outcome_top_weight') AS naive_top,
           max(value) FILTER (WHERE metric = 'outcome_withheld') AS naive_reason,
           max(value) FILTER (WHERE metric = 'outcome_effective_size_weighted') AS weighted_effective,
           max(value) FILTER (WHERE metric = 'outcome_top_weight_weighted') AS weighted_top,
           max(value) FILTER (WHERE metric = 'outcome_withheld_weighted') AS weighted_reason,
           max(value) FILTER (WHERE metric = 'outcome_effective_size_overlap') AS overlap_effective,
           max(value) FILTER (WHERE metric = 'outcome_top_weight_overlap') AS overlap_top,
           max(value) FILTER (WHERE metric = 'outcome_withheld_overlap') AS overlap_reason
    FROM monitoring_daily
    WHERE metric LIKE 'outcome\_%' AND dimension IS DISTINCT FROM 'bin'
    GROUP BY day, model_version, subject, dimension, member, window_start, window_end
), measured AS (
    SELECT day, model_version, subject, dimension, member, value, lower, upper,
           regexp_replace(metric, '^outcome_|_weighted$|_overlap$', '', 'g') AS figure,
           coalesce(substring(metric FROM '_(weighted|overlap)$'), 'naive') AS population
    FROM monitoring_daily
    WHERE metric LIKE 'outcome\_%' AND dimension IS DISTINCT FROM 'bin'
), each AS (
    SELECT day, model_version, subject, dimension, member, figure,
           max(value) FILTER (WHERE population = 'naive') AS naive,
           max(lower) FILTER (WHERE population = 'naive') AS naive_lower,
           max(upper) FILTER (WHERE population = 'naive') AS naive_upper,
           max(value) FILTER (WHERE population = 'weighted') AS weighted,
           max(lower) FILTER (WHERE population = 'weighted') AS weighted_lower,
           max(upper) FILTER (WHERE population = 'weighted') AS weighted_upper,
           max(value) FILTER (WHERE population = 'overlap') AS overlap,
           max(lower) FILTER (WHERE population = 'overlap') AS overlap_lower,
           max(upper) FILTER (WHERE population = 'overlap') AS overlap_upper
    FROM measured
    GROUP BY day, model_version, subject, dimension, member, figure
)
SELECT behind.day,
       behind.model_version,
       behind.subject AS target,
       behind.dimension,
       behind.member,
       figure.name AS figure,
       each.naive,
       each.naive_lower,
       each.naive_upper,
       behind.naive_effective,
       behind.naive_top,
       CASE CAST(behind.naive_reason AS integer)
           WHEN 1 THEN 'too few referred patients with the stenosis'
           WHEN 2 THEN 'too few referred patients without the stenosis'
           WHEN 3 THEN 'too few outcomes carry the weight'
           WHEN 4 THEN 'no overlap: those not flagged are hardly ever referred'
           WHEN 5 THEN 'too few referred among the low-risk'
           WHEN 6 THEN 'no overlap: patients of some kind are hardly ever referred' END AS naive_withheld,
       each.weighted,
       each.weighted_lower,
       each.weighted_upper,
       behind.weighted_effective,
       behind.weighted_top,
       CASE CAST(behind.weighted_reason AS integer)
           WHEN 1 THEN 'too few referred patients with the stenosis'
           WHEN 2 THEN 'too few referred patients without the stenosis'
           WHEN 3 THEN 'too few outcomes carry the weight'
           WHEN 4 THEN 'no overlap: those not flagged are hardly ever referred'
           WHEN 5 THEN 'too few referred among the low-risk'
           WHEN 6 THEN 'no overlap: patients of some kind are hardly ever referred' END AS weighted_withheld,
       each.overlap,
       each.overlap_lower,
       each.overlap_upper,
       behind.overlap_effective,
       behind.overlap_top,
       CASE CAST(behind.overlap_reason AS integer)
           WHEN 1 THEN 'too few referred patients with the stenosis'
           WHEN 2 THEN 'too few referred patients without the stenosis'
           WHEN 3 THEN 'too few outcomes carry the weight'
           WHEN 4 THEN 'no overlap: those not flagged are hardly ever referred'
           WHEN 5 THEN 'too few referred among the low-risk'
           WHEN 6 THEN 'no overlap: patients of some kind are hardly ever referred' END AS overlap_withheld,
       behind.clipped_share,
       behind.smallest_propensity,
       CAST(behind.censored AS bigint) AS censored,
       CAST(behind.ecgs AS bigint) AS ecgs,
       behind.window_start,
       behind.window_end
FROM behind
CROSS JOIN unnest(ARRAY['auroc', 'auprc', 'ppv', 'sensitivity', 'ece', 'calibration_slope', 'calibration_intercept']) AS figure (name)
LEFT JOIN each ON each.day = behind.day AND each.model_version = behind.model_version
              AND each.subject = behind.subject AND each.figure = figure.name
              AND each.dimension IS NOT DISTINCT FROM behind.dimension
              AND each.member IS NOT DISTINCT FROM behind.member;

COMMENT ON VIEW outcome_figures IS
    'Figures by cath reports, per patient: of referred, of all scored, and of patients whose referral was open.';
COMMENT ON COLUMN outcome_figures.day IS 'Last day of the ECGs'' window.';
COMMENT ON COLUMN outcome_figures.model_version IS 'Model.';
COMMENT ON COLUMN outcome_figures.target IS 'Predicted target.';
COMMENT ON COLUMN outcome_figures.dimension IS 'sex, age_band, device or site; empty: all.';
COMMENT ON COLUMN outcome_figures.member IS 'Value of the dimension.';
COMMENT ON COLUMN outcome_figures.figure IS
    'auroc, auprc, ppv, sensitivity, ece, calibration_slope or calibration_intercept.';
COMMENT ON COLUMN outcome_figures.naive IS
    'Value for patients who were referred to the cath lab; empty if withheld.';
COMMENT ON COLUMN outcome_figures.naive_lower IS 'Lower end of its 95 % interval.';
COMMENT ON COLUMN outcome_figures.naive_upper IS 'Upper end of its 95 % interval.';
COMMENT ON COLUMN outcome_figures.naive_effective IS 'Number of equally weighted patients with the same information.';
COMMENT ON COLUMN outcome_figures.naive_top IS
    'Share of all weight that the hundredth of the patients with the largest weights carries, 0 to 1.';
COMMENT ON COLUMN outcome_figures.naive_withheld IS 'Reason for which the value is withheld; empty if it is shown.';
COMMENT ON COLUMN outcome_figures.weighted IS
    'Value for all scored patients, each outcome weighted by the inverse probability of referral; empty if withheld.';
COMMENT ON COLUMN outcome_figures.weighted_lower IS 'Lower end of its 95 % interval.';
COMMENT ON COLUMN outcome_figures.weighted_upper IS 'Upper end of its 95 % interval.';
COMMENT ON COLUMN outcome_figures.weighted_effective IS 'Number of equally weighted patients with the same information.';
COMMENT ON COLUMN outcome_figures.weighted_top IS
    'Share of all weight that the hundredth of the patients with the largest weights carries, 0 to 1.';
COMMENT ON COLUMN outcome_figures.weighted_withheld IS 'Reason for which the value is withheld; empty if it is shown.';
COMMENT ON COLUMN outcome_figures.overlap IS
    'Value for patients whose referral was open, each outcome weighted by the probability of no referral; empty if withheld.';
COMMENT ON COLUMN outcome_figures.overlap_lower IS 'Lower end of its 95 % interval.';
COMMENT ON COLUMN outcome_figures.overlap_upper IS 'Upper end of its 95 % interval.';
COMMENT ON COLUMN outcome_figures.overlap_effective IS 'Number of equally weighted patients with the same information.';
COMMENT ON COLUMN outcome_figures.overlap_top IS
    'Share of all weight that the hundredth of the patients with the largest weights carries, 0 to 1.';
COMMENT ON COLUMN outcome_figures.overlap_withheld IS 'Reason for which the value is withheld; empty if it is shown.';
COMMENT ON COLUMN outcome_figures.clipped_share IS
    'Share of the scored patients whose propensity of referral is below .02 and raised to it (clipped).';
COMMENT ON COLUMN outcome_figures.smallest_propensity IS 'Smallest propensity of a scored patient, before clipping.';
COMMENT ON COLUMN outcome_figures.censored IS
    'Patients whose cath study came after the outcome days: referred, without an outcome.';
COMMENT ON COLUMN outcome_figures.ecgs IS 'ECGs with an outcome.';
COMMENT ON COLUMN outcome_figures.window_start IS 'Start of the ECGs'' window.';
COMMENT ON COLUMN outcome_figures.window_end IS 'End of the ECGs'' window.';
