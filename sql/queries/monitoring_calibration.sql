-- Are the predicted probabilities calibrated? By tenth of the ECGs.
--   target   the predicted target
\if :{?target} \else \set target stenosis_70 \endif
SELECT tenth, ecgs, predicted, observed, observed_lower, observed_upper, predicted_weighted, observed_weighted,
       observed_weighted_lower, observed_weighted_upper
FROM calibration_curve
WHERE target = :'target'
  AND model_version = (SELECT version FROM model_versions WHERE state = 'champion')
ORDER BY tenth;
