-- Files whose conflict is settled, as a file was replaced or another patient was named for it, are read again.
UPDATE worklist AS w
SET state = 'pending', attempt = w.attempt + 1, run_id = NULL, changed_at = now()
FROM quarantine AS q
WHERE q.state = 'open' AND q.reason = 'patient_conflict'
  AND q.content_hash IN (SELECT content_hash FROM staged_results WHERE reason IS NULL
                         UNION SELECT content_hash FROM replaced)
  AND q.content_hash NOT IN (SELECT content_hash FROM conflicts)
  AND q.object_id NOT IN (SELECT object_id FROM staged_results)
  AND w.object_id = q.object_id AND w.state = 'quarantined'
