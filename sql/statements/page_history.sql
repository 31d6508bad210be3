-- A patient's scores by a model, oldest first.
SELECT ecgs.id AS ecg_id, coalesce(ecgs.acquired_at, ecgs.first_read_at) AS at, decisive.probability
FROM ecgs
JOIN scores USING (content_hash)
JOIN models ON models.version = scores.model_version AND models.preprocessing_version = scores.preprocessing_version
JOIN LATERAL (VALUES ('stenosis_50', scores.stenosis_50), ('stenosis_70', scores.stenosis_70),
                     ('stenosis_90', scores.stenosis_90), ('stenosis_100', scores.stenosis_100))
    AS decisive (target, probability) ON decisive.target = :target
WHERE ecgs.patient_id = :patient_id AND scores.model_version = :model_version
ORDER BY at, ecgs.id
