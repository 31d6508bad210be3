-- Remove the oldest ECGs that are past their retention, with all that was made of them; their number.
WITH old AS MATERIALIZED (
    SELECT content_hash
    FROM ecgs
    WHERE coalesce(acquired_at, first_read_at) < :before
    ORDER BY coalesce(acquired_at, first_read_at)
    LIMIT :limit
)
SELECT count(*),
       CASE WHEN count(*) > 0 THEN forget_ecgs(array_agg(content_hash), 'stence', 'STENCE_RETENTION__SCORES_DAYS') END
FROM old
