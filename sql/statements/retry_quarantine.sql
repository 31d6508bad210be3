-- Make open quarantine rows pending again, by id, by reason, or all; how many. ECGs go back to every worklist,
-- angiograms are read anew.
WITH retried AS (
    UPDATE quarantine SET state = 'retried', closed_at = now()
    WHERE state = 'open'
      AND (CAST(:ids AS bigint[]) IS NULL OR id = ANY (CAST(:ids AS bigint[])))
      AND (CAST(:reason AS text) IS NULL OR reason = CAST(:reason AS text))
    RETURNING object_id
), pending AS (
    UPDATE worklist AS w
    SET state = 'pending', attempt = w.attempt + 1, run_id = NULL, changed_at = now()
    FROM retried
    WHERE w.object_id = retried.object_id AND w.state = 'quarantined'
), unread AS (
    UPDATE angiogram_views AS v
    SET state = 'pending', sop_instance_uid = NULL, key_frame = NULL, study_id = NULL, changed_at = now()
    FROM retried
    WHERE v.object_id = retried.object_id AND v.state = 'quarantined'
)
SELECT count(*) FROM retried
