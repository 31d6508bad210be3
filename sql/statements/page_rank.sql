-- Rank of a probability among the ECGs that were recorded from one time to another, and their number.
SELECT count(*) FILTER (WHERE decisive.probability > :probability) + 1 AS rank, count(*) AS ecgs
FROM ecgs
JOIN scores USING (content_hash)
JOIN models ON models.version = scores.model_version AND models.preprocessing_version = scores.preprocessing_version
JOIN LATERAL (VALUES ('stenosis_50', scores.stenosis_50), ('stenosis_70', scores.stenosis_70),
                     ('stenosis_90', scores.stenosis_90), ('stenosis_100', scores.stenosis_100))
    AS decisive (target, probability) ON decisive.target = :target
WHERE scores.model_version = :model_version
  AND coalesce(ecgs.acquired_at, ecgs.first_read_at) >= :start
  AND coalesce(ecgs.acquired_at, ecgs.first_read_at) < :end
