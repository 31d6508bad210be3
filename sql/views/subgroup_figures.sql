-- One row per model, target and group, with performance by outcomes in the newest window.
CREATE VIEW subgroup_figures WITH (security_invoker = true) AS
SELECT monitoring_daily.model_version,
       monitoring_daily.subject AS target,
       monitoring_daily.dimension,
       monitoring_daily.member,
       max(count) FILTER (WHERE metric = 'outcome_count') AS scored,
       max(value) FILTER (WHERE metric = 'outcome_count') AS with_outcome,
       max(value) FILTER (WHERE metric = 'outcome_effective_size_weighted') AS effective_sample_size,
       max(value) FILTER (WHERE metric = 'outcome_clipped_share') AS clipped_share,
       CASE CAST(max(value) FILTER (WHERE metric = 'outcome_withheld_weighted') AS integer)
           WHEN 1 THEN 'too few referred patients with the stenosis'
           WHEN 2 THEN 'too few referred patients without the stenosis'
           WHEN 3 THEN 'too few outcomes carry the weight'
           WHEN 4 THEN 'no overlap: those not flagged are hardly ever referred'
           WHEN 5 THEN 'too few referred among the low-risk'
           WHEN 6 THEN 'no overlap: patients of some kind are hardly ever referred' END AS withheld,
       max(value) FILTER (WHERE metric = 'outcome_auroc') AS auroc_naive,
       max(lower) FILTER (WHERE metric = 'outcome_auroc') AS auroc_naive_lower,
       max(upper) FILTER (WHERE metric = 'outcome_auroc') AS auroc_naive_upper,
       max(value) FILTER (WHERE metric = 'outcome_auroc_weighted') AS auroc_weighted,
       max(lower) FILTER (WHERE metric = 'outcome_auroc_weighted') AS auroc_weighted_lower,
       max(upper) FILTER (WHERE metric = 'outcome_auroc_weighted') AS auroc_weighted_upper,
       max(value) FILTER (WHERE metric = 'outcome_ppv') AS ppv_naive,
       max(lower) FILTER (WHERE metric = 'outcome_ppv') AS ppv_naive_lower,
       max(upper) FILTER (WHERE metric = 'outcome_ppv') AS ppv_naive_upper,
       max(value) FILTER (WHERE metric = 'outcome_ppv_weighted') AS ppv_weighted,
       max(lower) FILTER (WHERE metric = 'outcome_ppv_weighted') AS ppv_weighted_lower,
       max(upper) FILTER (WHERE metric = 'outcome_ppv_weighted') AS ppv_weighted_upper,
       max(value) FILTER (WHERE metric = 'outcome_sensitivity') AS sensitivity_naive,
       max(lower) FILTER (WHERE metric = 'outcome_sensitivity') AS sensitivity_naive_lower,
       max(upper) FILTER (WHERE metric = 'outcome_sensitivity') AS sensitivity_naive_upper,
       max(value) FILTER (WHERE metric = 'outcome_sensitivity_weighted') AS sensitivity_weighted,
       max(lower) FILTER (WHERE metric = 'outcome_sensitivity_weighted') AS sensitivity_weighted_lower,
       max(upper) FILTER (WHERE metric = 'outcome_sensitivity_weighted') AS sensitivity_weighted_upper,
       max(value) FILTER (WHERE metric = 'outcome_ece') AS ece_naive,
       max(lower) FILTER (WHERE metric = 'outcome_ece') AS ece_naive_lower,
       max(upper) FILTER (WHERE metric = 'outcome_ece') AS ece_naive_upper,
       max(value) FILTER (WHERE metric = 'outcome_ece_weighted') AS ece_weighted,
       max(lower) FILTER (WHERE metric = 'outcome_ece_weighted') AS ece_weighted_lower,
       max(upper) FILTER (WHERE metric = 'outcome_ece_weighted') AS ece_weighted_upper,
       min(monitoring_daily.window_start) AS window_start,
       max(monitoring_daily.window_end) AS window_end
FROM monitoring_daily
JOIN (
    SELECT model_version, max(day) AS day
    FROM monitoring_daily
    WHERE metric = 'outcome_count'
    GROUP BY model_version
) AS newest USING (model_version, day)
WHERE area = 'outcomes' AND metric NOT LIKE 'expected\_%' AND metric NOT LIKE 'promised\_%'
  AND metric NOT LIKE 'outcome\_calibration\_%'
GROUP BY monitoring_daily.model_version, monitoring_daily.subject, monitoring_daily.dimension, monitoring_daily.member;

COMMENT ON VIEW subgroup_figures IS
    'Performance by outcomes in the newest window: all, and by sex, age band, device and site.';
COMMENT ON COLUMN subgroup_figures.model_version IS 'Model.';
COMMENT ON COLUMN subgroup_figures.target IS 'Predicted target.';
COMMENT ON COLUMN subgroup_figures.dimension IS 'sex, age_band, device or site; empty: all.';
COMMENT ON COLUMN subgroup_figures.member IS 'Value of the dimension.';
COMMENT ON COLUMN subgroup_figures.scored IS 'ECGs of the window that were scored.';
COMMENT ON COLUMN subgroup_figures.with_outcome IS 'Of these: with a later cath report.';
COMMENT ON COLUMN subgroup_figures.effective_sample_size IS
    'Number of equally weighted patients with the same information.';
COMMENT ON COLUMN subgroup_figures.clipped_share IS
    'Share of the scored patients whose propensity of referral is below .02 and raised to it (clipped).';
COMMENT ON COLUMN subgroup_figures.withheld IS
    'Reason for which the figures for all scored patients are withheld; empty if they are shown.';
COMMENT ON COLUMN subgroup_figures.auroc_naive IS 'AUROC among referred patients.';
COMMENT ON COLUMN subgroup_figures.auroc_naive_lower IS 'Lower end of its 95 % interval.';
COMMENT ON COLUMN subgroup_figures.auroc_naive_upper IS 'Upper end of its 95 % interval.';
COMMENT ON COLUMN subgroup_figures.auroc_weighted IS 'AUROC, weighted for all scored patients.';
COMMENT ON COLUMN subgroup_figures.auroc_weighted_lower IS 'Lower end of its 95 % interval.';
COMMENT ON COLUMN subgroup_figures.auroc_weighted_upper IS 'Upper end of its 95 % interval.';
COMMENT ON COLUMN subgroup_figures.ppv_naive IS 'Positive predictive value of a flag, among referred patients.';
COMMENT ON COLUMN subgroup_figures.ppv_naive_lower IS 'Lower end of its 95 % interval.';
COMMENT ON COLUMN subgroup_figures.ppv_naive_upper IS 'Upper end of its 95 % interval.';
COMMENT ON COLUMN subgroup_figures.ppv_weighted IS
    'Positive predictive value of a flag, weighted for all scored patients.';
COMMENT ON COLUMN subgroup_figures.ppv_weighted_lower IS 'Lower end of its 95 % interval.';
COMMENT ON COLUMN subgroup_figures.ppv_weighted_upper IS 'Upper end of its 95 % interval.';
COMMENT ON COLUMN subgroup_figures.sensitivity_naive IS
    'Share of cases that were flagged, among referred patients.';
COMMENT ON COLUMN subgroup_figures.sensitivity_naive_lower IS 'Lower end of its 95 % interval.';
COMMENT ON COLUMN subgroup_figures.sensitivity_naive_upper IS 'Upper end of its 95 % interval.';
COMMENT ON COLUMN subgroup_figures.sensitivity_weighted IS
    'Share of cases that were flagged, weighted for all scored patients.';
COMMENT ON COLUMN subgroup_figures.sensitivity_weighted_lower IS 'Lower end of its 95 % interval.';
COMMENT ON COLUMN subgroup_figures.sensitivity_weighted_upper IS 'Upper end of its 95 % interval.';
COMMENT ON COLUMN subgroup_figures.ece_naive IS 'Expected calibration error among referred patients.';
COMMENT ON COLUMN subgroup_figures.ece_naive_lower IS 'Lower end of its 95 % interval.';
COMMENT ON COLUMN subgroup_figures.ece_naive_upper IS 'Upper end of its 95 % interval.';
COMMENT ON COLUMN subgroup_figures.ece_weighted IS 'Expected calibration error, weighted for all scored patients.';
COMMENT ON COLUMN subgroup_figures.ece_weighted_lower IS 'Lower end of its 95 % interval.';
COMMENT ON COLUMN subgroup_figures.ece_weighted_upper IS 'Upper end of its 95 % interval.';
COMMENT ON COLUMN subgroup_figures.window_start IS 'Start of the ECGs'' window.';
COMMENT ON COLUMN subgroup_figures.window_end IS 'End of the ECGs'' window.';
