-- ECGs of which they say something new go back to pending: they are read again, under the right patient.
UPDATE worklist AS w
SET state = 'pending', attempt = w.attempt + 1, run_id = NULL, lease_expires_at = NULL, changed_at = now()
FROM changed_records JOIN objects AS o USING (record_key)
WHERE reopens AND o.kind = 'ecg' AND w.object_id = o.id AND w.state <> 'pending'
