-- How many ECGs does each device send? By day.
--   by       device, site or hour
--   until    last day
--   days     number of days up to the last day
\if :{?by} \else \set by device \endif
\if :{?until} \else \set until today \endif
\if :{?days} \else \set days 60 \endif
SELECT day, member, coalesce(ecgs, 0) AS ecgs, feed_ratio, feed_p
FROM arrivals_daily
WHERE dimension = :'by'
  AND day > CAST(:'until' AS date) - CAST(:'days' AS integer) AND day <= CAST(:'until' AS date)
ORDER BY member, day;
