-- Put the next files below a model's mark on its worklist, newest first, if the mark is still :oldest: of scorers that
-- find nothing to claim at once, one does, and the others claim again. The number of files, and of those pending now.
WITH mark AS MATERIALIZED (
    SELECT oldest FROM worklist_marks WHERE model_version = :model_version AND oldest = :oldest FOR UPDATE
), next AS MATERIALIZED (
    SELECT o.id, o.etag, o.change_number, o.changed_at < m.created_at AS archive
    FROM objects AS o
    JOIN models AS m ON m.version = :model_version
    WHERE o.kind = 'ecg' AND o.change_number < (SELECT oldest FROM mark)
    ORDER BY o.change_number DESC
    LIMIT :limit
), moved AS (
    UPDATE worklist_marks
    SET oldest = CASE WHEN (SELECT count(*) FROM next) < :limit THEN 0
                      ELSE (SELECT min(change_number) FROM next) END
    WHERE model_version = :model_version AND oldest = (SELECT oldest FROM mark)
), enqueued AS (
    INSERT INTO worklist (object_id, model_version, etag, state, archive)
    SELECT id, :model_version, etag, 'pending', archive FROM next ORDER BY id
    ON CONFLICT (object_id, model_version) DO NOTHING
    RETURNING 1
)
SELECT (SELECT count(*) FROM next) AS files, (SELECT count(*) FROM enqueued) AS pending
