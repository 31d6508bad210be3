-- Numbers whose present number is another now, or that are their own again.
INSERT INTO changed_patients (patient_id, present_id)
SELECT coalesce(s.patient_id, a.patient_id), coalesce(s.present_id, a.patient_id)
FROM staged_aliases AS s FULL JOIN patient_aliases AS a ON a.patient_id = s.patient_id
WHERE s.present_id IS DISTINCT FROM a.present_id
