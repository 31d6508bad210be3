-- One row per model, target and tenth of the ECGs by probability, with predicted and observed share.
CREATE VIEW calibration_curve WITH (security_invoker = true) AS
SELECT monitoring_daily.model_version,
       monitoring_daily.subject AS target,
       CAST(monitoring_daily.member AS integer) AS tenth,
       max(count) AS ecgs,
       max(value) FILTER (WHERE metric = 'outcome_calibration_predicted') AS predicted,
       max(value) FILTER (WHERE metric = 'outcome_calibration_observed') AS observed,
       max(lower) FILTER (WHERE metric = 'outcome_calibration_observed') AS observed_lower,
       max(upper) FILTER (WHERE metric = 'outcome_calibration_observed') AS observed_upper,
       max(value) FILTER (WHERE metric = 'outcome_calibration_predicted_weighted') AS predicted_weighted,
       max(value) FILTER (WHERE metric = 'outcome_calibration_observed_weighted') AS observed_weighted,
       max(lower) FILTER (WHERE metric = 'outcome_calibration_observed_weighted') AS observed_weighted_lower,
       max(upper) FILTER (WHERE metric = 'outcome_calibration_observed_weighted') AS observed_weighted_upper,
       min(monitoring_daily.window_start) AS window_start,
       max(monitoring_daily.window_end) AS window_end
FROM monitoring_daily
JOIN (
    SELECT model_version, max(day) AS day
    FROM monitoring_daily
    WHERE metric = 'outcome_count'
    GROUP BY model_version
) AS newest USING (model_version, day)
WHERE metric LIKE 'outcome\_calibration\_%' AND monitoring_daily.dimension = 'bin'
GROUP BY monitoring_daily.model_version, monitoring_daily.subject, monitoring_daily.member;

COMMENT ON VIEW calibration_curve IS
    'Predicted probability and observed share of cases in each tenth of the ECGs with an outcome, newest window.';
COMMENT ON COLUMN calibration_curve.model_version IS 'Model.';
COMMENT ON COLUMN calibration_curve.target IS 'Predicted target.';
COMMENT ON COLUMN calibration_curve.tenth IS '1: the lowest probabilities, 10: the highest.';
COMMENT ON COLUMN calibration_curve.ecgs IS 'ECGs with an outcome in this tenth.';
COMMENT ON COLUMN calibration_curve.predicted IS 'Mean probability.';
COMMENT ON COLUMN calibration_curve.observed IS 'Share of cases.';
COMMENT ON COLUMN calibration_curve.observed_lower IS 'Lower end of its 95 % interval.';
COMMENT ON COLUMN calibration_curve.observed_upper IS 'Upper end of its 95 % interval.';
COMMENT ON COLUMN calibration_curve.predicted_weighted IS 'Mean probability, weighted for all scored patients.';
COMMENT ON COLUMN calibration_curve.observed_weighted IS 'Share of cases, weighted for all scored patients.';
COMMENT ON COLUMN calibration_curve.observed_weighted_lower IS 'Lower end of its 95 % interval.';
COMMENT ON COLUMN calibration_curve.observed_weighted_upper IS 'Upper end of its 95 % interval.';
COMMENT ON COLUMN calibration_curve.window_start IS 'Start of the ECGs'' window.';
COMMENT ON COLUMN calibration_curve.window_end IS 'End of the ECGs'' window.';
