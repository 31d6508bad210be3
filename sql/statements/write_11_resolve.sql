-- Files that could be scored now leave quarantine; not those that another model at work would refuse again,
-- because they are too short for its windows or it gives no number for them.
UPDATE quarantine AS q
SET state = 'resolved', closed_by = 'stence', closed_at = now()
FROM staged_results AS s
WHERE q.object_id = s.object_id AND q.state IN ('open', 'retried') AND s.reason IS NULL
  AND s.object_id NOT IN (SELECT object_id FROM conflicts)
  AND NOT (q.reason IN ('too_short', 'score_not_finite')
           AND EXISTS (SELECT FROM runs JOIN models ON models.version = runs.model_version
                       WHERE runs.id = q.run_id AND runs.model_version <> :model_version
                         AND models.state IN ('champion', 'shadow')))
