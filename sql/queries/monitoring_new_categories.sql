-- Which devices, sites and sampling rates are missing in the reference?
--   until    last day
--   days     number of days up to the last day
\if :{?until} \else \set until today \endif
\if :{?days} \else \set days 60 \endif
SELECT dimension, member, min(day) AS first_day, max(day) AS last_day, sum(ecgs) AS ecgs
FROM new_categories
WHERE day > CAST(:'until' AS date) - CAST(:'days' AS integer) AND day <= CAST(:'until' AS date)
GROUP BY dimension, member
ORDER BY dimension, member;
