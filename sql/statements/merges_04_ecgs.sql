-- ECGs whose file came under a number that changed: they are the present number's.
UPDATE ecgs AS e
SET patient_id = c.present_id
FROM objects AS o JOIN changed_patients AS c ON c.patient_id = o.patient_id
WHERE e.object_id = o.id AND e.patient_id <> c.present_id
