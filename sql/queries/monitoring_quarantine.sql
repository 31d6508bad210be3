-- Which ECG files were refused, and why? By day.
--   until    last day
--   days     number of days up to the last day
\if :{?until} \else \set until today \endif
\if :{?days} \else \set days 60 \endif
SELECT day, reason, files, open
FROM quarantine_daily
WHERE day > CAST(:'until' AS date) - CAST(:'days' AS integer) AND day <= CAST(:'until' AS date)
ORDER BY reason, day;
