-- Remove projected embeddings of the oldest ECGs that are past their retention; their number.
WITH gone AS (
    DELETE FROM ecg_embeddings AS k
    USING (SELECT content_hash, model_version
           FROM ecgs JOIN ecg_embeddings USING (content_hash)
           WHERE coalesce(acquired_at, first_read_at) < :before
           ORDER BY coalesce(acquired_at, first_read_at)
           LIMIT :limit) AS old
    WHERE k.content_hash = old.content_hash AND k.model_version = old.model_version
    RETURNING 1
)
SELECT count(*) FROM gone
