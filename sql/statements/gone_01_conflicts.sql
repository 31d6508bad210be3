-- Files that were in conflict with one that is gone are read again.
UPDATE worklist AS w
SET state = 'pending', attempt = w.attempt + 1, run_id = NULL, changed_at = now()
FROM objects AS gone
JOIN quarantine AS q ON q.content_hash = gone.content_hash AND q.state = 'open' AND q.reason = 'patient_conflict'
WHERE gone.key = ANY (CAST(:keys AS text[])) AND q.object_id <> gone.id
  AND w.object_id = q.object_id AND w.state = 'quarantined'
