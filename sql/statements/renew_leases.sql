-- Keep what a run holds from being taken over while it works.
UPDATE worklist
SET lease_expires_at = clock_timestamp() + make_interval(secs => :lease_seconds)
WHERE run_id = :run_id AND state = 'leased'
