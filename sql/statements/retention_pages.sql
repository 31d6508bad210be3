-- The next pages that are past their retention, and those of ECGs whose scores are.
SELECT content_hash, model_version, object_key
FROM ecg_pages JOIN ecgs USING (content_hash)
WHERE written_at < :pages OR coalesce(acquired_at, first_read_at) < :scores
ORDER BY content_hash, model_version
LIMIT :limit
