-- A patient's scores by a model, oldest first.
SELECT ecgs.id AS ecg_id, coalesce(ecgs.acquired_at, ecgs.first_read_at) AS at, scores.stenosis_70 AS probability
FROM ecgs
JOIN scores USING (content_hash)
JOIN models ON models.version = scores.model_version AND models.preprocessing_version = scores.preprocessing_version
WHERE ecgs.patient_id = :patient_id AND scores.model_version = :model_version
ORDER BY at, ecgs.id
