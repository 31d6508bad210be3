-- Do the embeddings drift? All ECGs, and by device and site, by day.
--   until    last day
--   days     number of days up to the last day
\if :{?until} \else \set until today \endif
\if :{?days} \else \set days 60 \endif
SELECT coalesce(member, 'all') AS part, day, distance, p_value, observations AS ecgs
FROM drift_daily
WHERE area = 'embeddings'
  AND model_version = (SELECT version FROM model_versions WHERE state = 'champion')
  AND day > CAST(:'until' AS date) - CAST(:'days' AS integer) AND day <= CAST(:'until' AS date)
ORDER BY dimension NULLS FIRST, member, day;
