-- Lease the next ECGs of a model's worklist to a run: pending ones, and those whose scorer has fallen silent.
-- The attempt number fences off the former holder, should it still write. New files come before the archive of the
-- model, and in each the newest first: today's ECGs do not wait until a new model has scored the archive. The portion
-- is all, new or archive.
WITH next AS MATERIALIZED (
    SELECT object_id, model_version
    FROM worklist
    WHERE model_version = :model_version
      AND state IN ('pending', 'leased')
      AND (state = 'pending' OR lease_expires_at < clock_timestamp())
      AND archive BETWEEN (CAST(:portion AS text) = 'archive') AND (CAST(:portion AS text) <> 'new')
    ORDER BY archive, object_id DESC
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
