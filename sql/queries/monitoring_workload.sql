-- Does the share of flagged ECGs keep the promise? By day, for the target that raises flags.
--   until    last day
--   days     number of days up to the last day
\if :{?until} \else \set until today \endif
\if :{?days} \else \set days 60 \endif
SELECT target, day, flag_rate, flag_rate_lower, flag_rate_upper, promised, p_value, ecgs, patients_flagged,
       patients_flagged_promised, patients
FROM workload_daily
WHERE model_version = (SELECT version FROM model_versions WHERE state = 'champion')
  AND day > CAST(:'until' AS date) - CAST(:'days' AS integer) AND day <= CAST(:'until' AS date)
ORDER BY target, day;
