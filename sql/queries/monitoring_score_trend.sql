-- Do the scores drift? By target and day.
--   until    last day
--   days     number of days up to the last day
\if :{?until} \else \set until today \endif
\if :{?days} \else \set days 60 \endif
SELECT subject AS target, day, mean, mean_lower, mean_upper, distance, p_value, shift, shift_p, ewma, ewma_p,
       psi, agreement, observations AS ecgs
FROM drift_daily
WHERE area = 'scores' AND dimension IS NULL AND subject IS NOT NULL
  AND model_version = (SELECT version FROM model_versions WHERE state = 'champion')
  AND day > CAST(:'until' AS date) - CAST(:'days' AS integer) AND day <= CAST(:'until' AS date)
ORDER BY array_position(ARRAY['stenosis_50', 'stenosis_70', 'stenosis_90', 'stenosis_100', 'rca_70', 'lca_70'], subject), day;
