-- Mean scores of a model on each day of a time, by the place where the ECGs were taken: the site, or, where that is
-- not known, the device. Of each patient and day only the first ECG counts.
WITH taken AS (
    SELECT e.content_hash, e.patient_id, coalesce(e.site, e.device, '') AS place,
           coalesce(e.acquired_at, e.first_read_at) AS taken_at,
           s.stenosis_50, s.stenosis_70, s.stenosis_90, s.stenosis_100, s.rca_70, s.lca_70
    FROM ecgs AS e
    JOIN scores AS s ON s.content_hash = e.content_hash AND s.model_version = :model_version
                    AND s.preprocessing_version = :preprocessing_version
    WHERE coalesce(e.acquired_at, e.first_read_at) >= :start AND coalesce(e.acquired_at, e.first_read_at) < :end
), first_of_day AS (
    SELECT DISTINCT ON (patient_id, CAST(taken_at AT TIME ZONE :timezone AS date))
           CAST(taken_at AT TIME ZONE :timezone AS date) AS day, taken.*
    FROM taken
    ORDER BY patient_id, CAST(taken_at AT TIME ZONE :timezone AS date), taken_at, content_hash
)
-- As numeric: a sum of doubles depends on the order in which a plan reads the rows.
SELECT day, place, count(*) AS ecgs,
       avg(CAST(stenosis_50 AS numeric)) AS stenosis_50, avg(CAST(stenosis_70 AS numeric)) AS stenosis_70,
       avg(CAST(stenosis_90 AS numeric)) AS stenosis_90, avg(CAST(stenosis_100 AS numeric)) AS stenosis_100,
       avg(CAST(rca_70 AS numeric)) AS rca_70, avg(CAST(lca_70 AS numeric)) AS lca_70
FROM first_of_day
GROUP BY day, place
ORDER BY day, place
