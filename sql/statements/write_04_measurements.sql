-- What was measured in each ECG; a signal that was measured before is the same now.
INSERT INTO ecg_measurements (content_hash, heart_rate, r_mv, s_mv, noise_uv)
SELECT DISTINCT ON (content_hash) content_hash, heart_rate, r_mv, s_mv, noise_uv
FROM staged_results
WHERE reason IS NULL
ORDER BY content_hash, object_id
ON CONFLICT (content_hash) DO NOTHING
