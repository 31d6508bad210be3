-- Drop what this run no longer holds: another scorer has taken it over and writes it.
DELETE FROM staged_results AS s
WHERE NOT EXISTS (
    SELECT FROM worklist AS w
    WHERE w.object_id = s.object_id AND w.model_version = :model_version
      AND w.state = 'leased' AND w.run_id = :run_id AND w.attempt = s.attempt
)
