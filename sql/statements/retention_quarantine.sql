-- Remove closed quarantine rows that are past their retention; their number. Dismissed rows stay: they keep files away.
WITH gone AS (
    DELETE FROM quarantine
    WHERE id IN (SELECT id FROM quarantine
                 WHERE state IN ('resolved', 'retried') AND closed_at < :before ORDER BY id LIMIT :limit)
    RETURNING 1
)
SELECT count(*) FROM gone
