-- How did models do on patients that they did not learn from? Validations, newest first.
--   limit    number of validations
\if :{?limit} \else \set limit 20 \endif
SELECT ran_at, model_version, window_start, window_end, sites, patients, cases, controls, auroc, auroc_lower,
       auroc_upper, auroc_on_card, calibration_slope, observed_to_expected, cannot_tell, report_key
FROM model_validations
ORDER BY ran_at DESC, validation_id
LIMIT CAST(:'limit' AS bigint);
