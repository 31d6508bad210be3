-- Unreviewed flags of ECGs whose patient is no longer the one they were raised for, of every model, unless another
-- file holds the ECG. The next run brings them back where it finds the patient, be it the same or another.
UPDATE flags AS f
SET state = 'withdrawn', withdrawn_for = 'patient_unclear', reviewed_at = now(), reviewed_by = 'stence',
    note = 'what manifests say of its patient has changed'
FROM changed_records AS c JOIN objects AS o USING (record_key)
WHERE c.patient_changed AND o.kind = 'ecg' AND f.content_hash = o.content_hash
  AND (f.state = 'open' OR f.withdrawn_for = 'model_retired')
  AND f.patient_id IS DISTINCT FROM c.patient_id
  AND NOT EXISTS (
      SELECT FROM objects AS other
      WHERE other.content_hash = o.content_hash
        AND other.record_key NOT IN (SELECT record_key FROM changed_records WHERE patient_changed)
  )
