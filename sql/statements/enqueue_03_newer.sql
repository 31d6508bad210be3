-- Put the next files above a model's mark, up to :newest, on its worklist: those that the model has not seen, or not in
-- their present content. The number of files, and of those that are pending now.
WITH mark AS MATERIALIZED (
    SELECT newest FROM worklist_marks WHERE model_version = :model_version FOR UPDATE
), next AS MATERIALIZED (
    SELECT o.id, o.etag, o.change_number, o.changed_at < m.created_at AS archive
    FROM objects AS o
    JOIN models AS m ON m.version = :model_version
    WHERE o.kind = 'ecg' AND o.change_number > (SELECT newest FROM mark) AND o.change_number <= :newest
    ORDER BY o.change_number
    LIMIT :limit
), moved AS (
    UPDATE worklist_marks
    SET newest = CASE WHEN (SELECT count(*) FROM next) < :limit THEN greatest(newest, :newest)
                      ELSE (SELECT max(change_number) FROM next) END
    WHERE model_version = :model_version
), enqueued AS (
    INSERT INTO worklist AS w (object_id, model_version, etag, state, archive)
    SELECT id, :model_version, etag, 'pending', archive
    FROM next
    WHERE NOT EXISTS (SELECT FROM worklist AS seen
                      WHERE seen.object_id = next.id AND seen.model_version = :model_version AND seen.etag = next.etag)
    ORDER BY id
    ON CONFLICT (object_id, model_version) DO UPDATE
        SET etag = EXCLUDED.etag, state = 'pending', attempt = w.attempt + 1, run_id = NULL,
            lease_expires_at = NULL, changed_at = now(), archive = EXCLUDED.archive
        WHERE w.etag <> EXCLUDED.etag
    RETURNING 1
)
SELECT (SELECT count(*) FROM next) AS files, (SELECT count(*) FROM enqueued) AS pending
