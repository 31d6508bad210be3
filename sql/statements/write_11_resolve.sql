-- Files that could be scored now leave quarantine.
UPDATE quarantine AS q
SET state = 'resolved', closed_by = 'stence', closed_at = now()
FROM staged_results AS s
WHERE q.object_id = s.object_id AND q.state IN ('open', 'retried') AND s.reason IS NULL
  AND s.object_id NOT IN (SELECT object_id FROM conflicts)
