-- What are the key metrics of the champion?
SELECT title, unit, value, lower, upper, count, day
FROM key_figures
ORDER BY place;
