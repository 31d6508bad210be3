-- Flags follow their ECGs, those of every model and in every state.
UPDATE flags AS f
SET patient_id = e.patient_id
FROM ecgs AS e JOIN objects AS o ON o.id = e.object_id JOIN changed_patients AS c ON c.patient_id = o.patient_id
WHERE f.content_hash = e.content_hash AND f.patient_id <> e.patient_id
