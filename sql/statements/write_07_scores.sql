-- Scores, one an ECG, model and preprocessing; what is scored already stays as it is.
INSERT INTO scores (content_hash, model_version, preprocessing_version, stenosis_50, stenosis_70, stenosis_90,
                    stenosis_100, rca_70, lca_70, run_id, lower, upper, novelty, unlike)
SELECT DISTINCT ON (content_hash)
       content_hash, :model_version, :preprocessing_version, stenosis_50, stenosis_70, stenosis_90,
       stenosis_100, rca_70, lca_70, :run_id, lower, upper, novelty, unlike
FROM staged_results
WHERE reason IS NULL AND content_hash NOT IN (SELECT content_hash FROM conflicts)
ORDER BY content_hash, object_id
ON CONFLICT (content_hash, model_version, preprocessing_version) DO NOTHING
