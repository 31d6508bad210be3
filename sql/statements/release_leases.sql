-- Give back what a run still holds.
UPDATE worklist
SET state = 'pending', run_id = NULL, lease_expires_at = NULL, attempt = attempt + 1, changed_at = now()
WHERE run_id = :run_id AND state = 'leased'
