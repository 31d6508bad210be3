-- Rows that are past their retention, by kind; a kind without a time keeps all.
SELECT (SELECT count(*) FROM ecgs WHERE coalesce(acquired_at, first_read_at) < :scores) AS scores,
       (SELECT count(*) FROM ecgs JOIN ecg_embeddings USING (content_hash)
        WHERE coalesce(acquired_at, first_read_at) < :embeddings) AS embeddings,
       (SELECT count(*) FROM ecgs JOIN ecg_measurements USING (content_hash)
        WHERE coalesce(acquired_at, first_read_at) < :measurements) AS measurements,
       (SELECT count(*) FROM ecg_pages JOIN ecgs USING (content_hash)
        WHERE written_at < :pages OR coalesce(acquired_at, first_read_at) < :scores) AS pages,
       (SELECT count(*) FROM quarantine
        WHERE state IN ('resolved', 'retried') AND closed_at < :quarantine) AS quarantine
