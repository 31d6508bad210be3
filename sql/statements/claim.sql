-- Lease the next ECGs of a model's worklist to a run: pending ones, and those whose scorer has fallen silent.
-- The attempt number fences off the former holder, should it still write. Newest files come first: today's ECGs
-- do not wait until a new model has scored the archive. The portion is all, new or archive: what a listing showed
-- before the model was registered is its archive.
WITH next AS MATERIALIZED (
    SELECT object_id, model_version
    FROM worklist AS w
    WHERE model_version = :model_version
      AND state IN ('pending', 'leased')
      AND (state = 'pending' OR lease_expires_at < clock_timestamp())
      AND (CAST(:portion AS text) = 'all' OR (:portion = 'new') = (
          SELECT o.changed_at >= m.created_at
          FROM objects AS o, models AS m
          WHERE o.id = w.object_id AND m.version = w.model_version
      ))
    ORDER BY object_id DESC
    LIMIT :limit
    FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE worklist AS w
    SET state = 'leased', attempt = w.attempt + 1, run_id = :run_id, changed_at = now(),
        lease_expires_at = clock_timestamp() + make_interval(secs => :lease_seconds)
    FROM next
    WHERE w.object_id = next.object_id AND w.model_version = next.model_version
    RETURNING w.object_id, w.attempt
)
SELECT c.object_id, o.key, o.etag, c.attempt, m.patient_id, m.acquired_at, m.site, m.indication,
       m.local_timezone, m.contradiction
FROM claimed AS c
JOIN objects AS o ON o.id = c.object_id
LEFT JOIN manifest_records AS m USING (record_key)
ORDER BY c.object_id
