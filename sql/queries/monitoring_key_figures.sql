-- What are the key figures of the champion?
SELECT title, unit, value, lower, upper, count, day
FROM key_figures
ORDER BY place;
