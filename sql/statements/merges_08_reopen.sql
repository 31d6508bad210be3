-- Files under these numbers are read again, and so is whatever waits because two numbers disagreed.
UPDATE worklist AS w
SET state = 'pending', attempt = w.attempt + 1, run_id = NULL, lease_expires_at = NULL, changed_at = now()
FROM objects AS o
WHERE o.id = w.object_id AND o.kind = 'ecg' AND w.state IN ('scored', 'quarantined')
  AND EXISTS (SELECT FROM changed_patients)
  AND (o.patient_id IN (SELECT patient_id FROM changed_patients UNION SELECT present_id FROM changed_patients)
       OR EXISTS (SELECT FROM quarantine AS q
                  WHERE q.object_id = o.id AND q.state = 'open'
                    AND q.reason IN ('patient_mismatch', 'patient_conflict')))
