-- One row per day, model, target and metric, with the expected value before outcomes are known.
CREATE VIEW expected_figures WITH (security_invoker = true) AS
SELECT day,
       model_version,
       subject AS target,
       dimension,
       member,
       replace(metric, 'expected_', '') AS figure,
       value AS expected,
       lower AS expected_lower,
       upper AS expected_upper,
       count AS ecgs
FROM monitoring_daily
WHERE metric LIKE 'expected\_%';

COMMENT ON VIEW expected_figures IS
    'Expected performance of a model on a day''s ECGs, from its calibrated probabilities alone.';
COMMENT ON COLUMN expected_figures.day IS 'Day of the ECGs.';
COMMENT ON COLUMN expected_figures.model_version IS 'Model.';
COMMENT ON COLUMN expected_figures.target IS 'Predicted target.';
COMMENT ON COLUMN expected_figures.dimension IS 'sex, age_band, device or site; empty: all.';
COMMENT ON COLUMN expected_figures.member IS 'Value of the dimension.';
COMMENT ON COLUMN expected_figures.figure IS 'auroc, auprc, ppv or sensitivity.';
COMMENT ON COLUMN expected_figures.expected IS 'Expected value.';
COMMENT ON COLUMN expected_figures.expected_lower IS 'Lower end of its 95 % interval.';
COMMENT ON COLUMN expected_figures.expected_upper IS 'Upper end of its 95 % interval.';
COMMENT ON COLUMN expected_figures.ecgs IS 'ECGs of the day.';
