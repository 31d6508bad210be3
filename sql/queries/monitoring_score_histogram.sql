-- How are the scores of the last days distributed, compared with the four weeks before?
--   target   the predicted target
--   until    last day
--   days     number of days up to the last day
\if :{?target} \else \set target stenosis_70 \endif
\if :{?until} \else \set until today \endif
\if :{?days} \else \set days 7 \endif
SELECT bin, bin / 20.0 AS from_probability,
       coalesce(sum(ecgs) FILTER (WHERE day > CAST(:'until' AS date) - CAST(:'days' AS integer)), 0) AS ecgs,
       coalesce(sum(ecgs) FILTER (WHERE day <= CAST(:'until' AS date) - CAST(:'days' AS integer)), 0) AS ecgs_before
FROM score_distribution
WHERE target = :'target'
  AND model_version = (SELECT version FROM model_versions WHERE state = 'champion')
  AND day > CAST(:'until' AS date) - CAST(:'days' AS integer) - 28 AND day <= CAST(:'until' AS date)
GROUP BY bin
ORDER BY bin;
