-- Of the ECGs of a time, all and by site: how many there are, and how many have no age, sex or indication.
SELECT site,
       count(*) AS ecgs,
       count(*) FILTER (WHERE age IS NULL) AS age,
       count(*) FILTER (WHERE coalesce(sex, '') = '') AS sex,
       count(*) FILTER (WHERE coalesce(indication, '') = '') AS indication
FROM ecgs
WHERE coalesce(acquired_at, first_read_at) >= :start AND coalesce(acquired_at, first_read_at) < :end
GROUP BY GROUPING SETS ((), (site))
HAVING grouping(site) = 1 OR site IS NOT NULL
ORDER BY grouping(site) DESC, site
