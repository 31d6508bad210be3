-- How many of the ECGs of a time a model has scored, and how many of them reach each target's threshold.
SELECT count(*) AS ecgs,
       count(*) FILTER (WHERE s.stenosis_50 >= :threshold_stenosis_50) AS stenosis_50,
       count(*) FILTER (WHERE s.stenosis_70 >= :threshold_stenosis_70) AS stenosis_70,
       count(*) FILTER (WHERE s.stenosis_90 >= :threshold_stenosis_90) AS stenosis_90,
       count(*) FILTER (WHERE s.stenosis_100 >= :threshold_stenosis_100) AS stenosis_100,
       count(*) FILTER (WHERE s.rca_70 >= :threshold_rca_70) AS rca_70,
       count(*) FILTER (WHERE s.lca_70 >= :threshold_lca_70) AS lca_70
FROM ecgs AS e
JOIN scores AS s USING (content_hash)
WHERE coalesce(e.acquired_at, e.first_read_at) >= :start AND coalesce(e.acquired_at, e.first_read_at) < :end
  AND s.model_version = :model_version AND s.preprocessing_version = :preprocessing_version
