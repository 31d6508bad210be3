-- Nobody reviews a patient who has opted out: the patient's flags are withdrawn, reviewed ones too.
UPDATE flags AS f
SET state = 'withdrawn', withdrawn_for = 'opted_out', reviewed_at = now(), reviewed_by = :by,
    note = 'its patient has opted out'
FROM ecgs AS e
WHERE e.patient_id = ANY (:patient_ids) AND f.content_hash = e.content_hash
  AND (f.state <> 'withdrawn' OR f.withdrawn_for = 'model_retired')
