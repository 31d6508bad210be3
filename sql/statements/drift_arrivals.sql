-- How many ECGs were taken on each day of a time: of all, of each device and site, and in each hour.
WITH taken AS (
    SELECT device, site, coalesce(acquired_at, first_read_at) AT TIME ZONE :timezone AS taken_at
    FROM ecgs
    WHERE coalesce(acquired_at, first_read_at) >= :start AND coalesce(acquired_at, first_read_at) < :end
), counted AS (
    SELECT device, site, CAST(taken_at AS date) AS day, to_char(taken_at, 'HH24') AS hour FROM taken
)
SELECT day,
       CASE WHEN grouping(device) = 0 THEN 'device' WHEN grouping(site) = 0 THEN 'site'
            WHEN grouping(hour) = 0 THEN 'hour' END AS slice_key,
       coalesce(device, site, hour) AS slice_value,
       count(*) AS ecgs
FROM counted
GROUP BY GROUPING SETS ((day), (day, device), (day, site), (day, hour))
ORDER BY 1, 2 NULLS FIRST, 3
