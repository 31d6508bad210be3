-- One row per metric of outcomes, window, model, target and slice, with naive and weighted values.
CREATE VIEW outcome_figures WITH (security_invoker = true) AS
SELECT day,
       model_version,
       subject AS target,
       dimension,
       member,
       regexp_replace(metric, '^outcome_|_weighted$', '', 'g') AS figure,
       max(value) FILTER (WHERE metric NOT LIKE '%\_weighted') AS naive,
       max(lower) FILTER (WHERE metric NOT LIKE '%\_weighted') AS naive_lower,
       max(upper) FILTER (WHERE metric NOT LIKE '%\_weighted') AS naive_upper,
       max(value) FILTER (WHERE metric LIKE '%\_weighted') AS weighted,
       max(lower) FILTER (WHERE metric LIKE '%\_weighted') AS weighted_lower,
       max(upper) FILTER (WHERE metric LIKE '%\_weighted') AS weighted_upper,
       max(count) AS ecgs,
       window_start,
       window_end
FROM monitoring_daily
WHERE metric LIKE 'outcome\_%' AND metric NOT LIKE 'outcome\_calibration\_observed%'
  AND metric NOT LIKE 'outcome\_calibration\_predicted%' AND metric <> 'outcome_count'
GROUP BY day, model_version, subject, dimension, member, 6, window_start, window_end;

COMMENT ON VIEW outcome_figures IS
    'AUROC, AUPRC, PPV, sensitivity and calibration by cath reports: naive (referred) and weighted (all scored).';
COMMENT ON COLUMN outcome_figures.day IS 'Last day of the ECGs'' window.';
COMMENT ON COLUMN outcome_figures.model_version IS 'Model.';
COMMENT ON COLUMN outcome_figures.target IS 'Predicted target.';
COMMENT ON COLUMN outcome_figures.dimension IS 'sex, age_band, device or site; empty: all.';
COMMENT ON COLUMN outcome_figures.member IS 'Value of the dimension.';
COMMENT ON COLUMN outcome_figures.figure IS
    'auroc, auprc, ppv, sensitivity, ece, calibration_slope or calibration_intercept.';
COMMENT ON COLUMN outcome_figures.naive IS 'Value among patients who were referred to the cath lab.';
COMMENT ON COLUMN outcome_figures.naive_lower IS 'Lower end of its 95 % interval.';
COMMENT ON COLUMN outcome_figures.naive_upper IS 'Upper end of its 95 % interval.';
COMMENT ON COLUMN outcome_figures.weighted IS
    'Value for all scored patients, each weighted by the inverse probability of referral.';
COMMENT ON COLUMN outcome_figures.weighted_lower IS 'Lower end of its 95 % interval.';
COMMENT ON COLUMN outcome_figures.weighted_upper IS 'Upper end of its 95 % interval.';
COMMENT ON COLUMN outcome_figures.ecgs IS 'ECGs with an outcome.';
COMMENT ON COLUMN outcome_figures.window_start IS 'Start of the ECGs'' window.';
COMMENT ON COLUMN outcome_figures.window_end IS 'End of the ECGs'' window.';
