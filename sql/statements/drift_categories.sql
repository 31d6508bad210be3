-- How many of the ECGs of a time are of each device, site, sampling rate (Hz), sex and indication, by the place
-- where they were taken: the site, or, where that is not known, the device.
WITH taken AS (
    SELECT coalesce(site, device, '') AS place, device, site, sampling_rate, sex, indication
    FROM ecgs
    WHERE coalesce(acquired_at, first_read_at) >= :start AND coalesce(acquired_at, first_read_at) < :end
)
SELECT place,
       CASE WHEN grouping(device) = 0 THEN 'device' WHEN grouping(site) = 0 THEN 'site'
            WHEN grouping(sampling_rate) = 0 THEN 'sampling_rate' WHEN grouping(sex) = 0 THEN 'sex'
            ELSE 'indication' END AS slice_key,
       coalesce(device, site, CAST(sampling_rate AS text), sex, indication) AS slice_value,
       count(*) AS ecgs
FROM taken
GROUP BY GROUPING SETS ((place, device), (place, site), (place, sampling_rate), (place, sex), (place, indication))
ORDER BY 1, 2, 3
