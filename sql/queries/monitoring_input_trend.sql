-- Do the inputs drift? Largest distance over the leads, by measure and day.
--   until    last day
--   days     number of days up to the last day
\if :{?until} \else \set until today \endif
\if :{?days} \else \set days 60 \endif
SELECT split_part(subject, '.', 1) AS measure, day, max(distance) AS distance, min(p_value) AS p_value,
       max(psi) AS psi, max(observations) AS ecgs
FROM drift_daily
WHERE area = 'inputs' AND dimension IS NULL AND distance IS NOT NULL
  AND day > CAST(:'until' AS date) - CAST(:'days' AS integer) AND day <= CAST(:'until' AS date)
GROUP BY 1, day
ORDER BY 1, day;
