-- Unreviewed flags of ECGs whose patient is no longer the one they were raised for, of every model, unless another
-- file holds the ECG. The next run brings them back where it finds the patient, be it the same or another.
SELECT withdraw_flags(array_agg(DISTINCT f.id), '{open,model_retired}', 'patient_unclear', 'stence',
                      'what manifests say of its patient has changed')
FROM flags AS f
JOIN objects AS o USING (content_hash)
JOIN changed_records AS c USING (record_key)
WHERE c.patient_changed AND o.kind = 'ecg'
  AND (f.state = 'open' OR f.withdrawn_for = 'model_retired')
  AND f.patient_id IS DISTINCT FROM c.patient_id
  AND NOT EXISTS (
      SELECT FROM objects AS other
      WHERE other.content_hash = o.content_hash
        AND other.record_key NOT IN (SELECT record_key FROM changed_records WHERE patient_changed)
  )
HAVING count(*) > 0
