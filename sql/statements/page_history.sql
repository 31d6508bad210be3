-- A patient's scores by a model, oldest first.
SELECT ecg_id, ecg_at AS at, probability
FROM valid_scores
WHERE patient_id = :patient_id AND model_version = :model_version
ORDER BY ecg_at, ecg_id
