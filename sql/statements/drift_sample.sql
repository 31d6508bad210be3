-- ECGs of a time, the first of each patient and day, chosen by content hash: so many of all, and besides so many
-- of each device and site. In the order of the hash, so that the first of any part are a random sample of it.
-- With what was measured in them, what the model made of them, and the projected embeddings of the first few.
WITH taken AS (
    SELECT e.content_hash, e.patient_id, e.device, e.site, coalesce(e.acquired_at, e.first_read_at) AS taken_at
    FROM ecgs AS e
    WHERE coalesce(e.acquired_at, e.first_read_at) >= :start AND coalesce(e.acquired_at, e.first_read_at) < :end
      AND (NOT :scored OR EXISTS (
          SELECT FROM scores AS s
          WHERE s.content_hash = e.content_hash AND s.model_version = :model_version
            AND s.preprocessing_version = :preprocessing_version
      ))
), first_of_day AS (
    SELECT DISTINCT ON (patient_id, CAST(taken_at AT TIME ZONE :timezone AS date)) content_hash, device, site
    FROM taken
    ORDER BY patient_id, CAST(taken_at AT TIME ZONE :timezone AS date), taken_at, content_hash
), ranked AS (
    SELECT content_hash,
           row_number() OVER (ORDER BY content_hash) AS among_all,
           row_number() OVER (PARTITION BY device ORDER BY content_hash) AS in_device,
           row_number() OVER (PARTITION BY site ORDER BY content_hash) AS in_site
    FROM first_of_day
), chosen AS (
    SELECT content_hash, among_all
    FROM ranked
    WHERE among_all <= :of_all OR in_device <= :of_each OR in_site <= :of_each
    ORDER BY content_hash
    LIMIT :most
)
SELECT e.device, e.site, e.age, m.heart_rate, m.r_mv, m.s_mv, m.noise_uv,
       s.stenosis_50, s.stenosis_70, s.stenosis_90, s.stenosis_100, s.rca_70, s.lca_70, k.sketch,
       extract(isodow FROM coalesce(e.acquired_at, e.first_read_at) AT TIME ZONE :timezone) >= 6 AS weekend
FROM chosen AS c
JOIN ecgs AS e USING (content_hash)
LEFT JOIN ecg_measurements AS m USING (content_hash)
LEFT JOIN scores AS s ON s.content_hash = c.content_hash AND s.model_version = :model_version
                     AND s.preprocessing_version = :preprocessing_version
LEFT JOIN ecg_embeddings AS k ON k.content_hash = c.content_hash AND k.model_version = :model_version
                             AND c.among_all <= :projections
ORDER BY c.content_hash
