-- A model takes over the reference profile of another, but for the embeddings: they are of another encoder.
INSERT INTO reference_profiles (model_version, window_start, window_end, ecgs, profile)
SELECT :model_version, window_start, window_end, ecgs, profile || '{"sketched": [], "sketches": []}'
FROM reference_profiles
WHERE model_version = :other
ON CONFLICT (model_version) DO NOTHING
