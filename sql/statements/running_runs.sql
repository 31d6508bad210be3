-- Runs of living processes.
SELECT count(*)
FROM (SELECT state, lease_expires_at FROM runs
      UNION ALL SELECT state, lease_expires_at FROM training_runs
      UNION ALL SELECT state, lease_expires_at FROM monitor_runs) AS every
WHERE state = 'running' AND lease_expires_at > now()
