-- Remove measurements of the oldest ECGs that are past their retention; their number.
WITH gone AS (
    DELETE FROM ecg_measurements AS m
    USING (SELECT content_hash
           FROM ecgs JOIN ecg_measurements USING (content_hash)
           WHERE coalesce(acquired_at, first_read_at) < :before
           ORDER BY coalesce(acquired_at, first_read_at)
           LIMIT :limit) AS old
    WHERE m.content_hash = old.content_hash
    RETURNING 1
)
SELECT count(*) FROM gone
