-- What the model's encoder made of each ECG that has a score of it.
INSERT INTO ecg_embeddings (content_hash, model_version, sketch)
SELECT DISTINCT ON (content_hash) content_hash, :model_version, sketch
FROM staged_results
WHERE reason IS NULL AND content_hash NOT IN (SELECT content_hash FROM conflicts)
ORDER BY content_hash, object_id
ON CONFLICT (content_hash, model_version) DO NOTHING
