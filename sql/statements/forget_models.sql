-- Models whose training may have had the patient: a cath study of the patient was known by then. Certain: the study is in
-- the model's shared space.
SELECT t.model_version, min(s.split) AS split, bool_or(k.study_id IS NOT NULL) AS certain
FROM cath_studies AS s
JOIN training_runs AS t ON t.model_version IS NOT NULL AND s.first_seen_at <= coalesce(t.data_as_of, t.started_at)
LEFT JOIN study_embeddings AS k ON k.model_version = t.model_version AND k.study_id = s.study_id
WHERE s.patient_id = ANY (:patient_ids)
GROUP BY t.model_version
ORDER BY t.model_version
