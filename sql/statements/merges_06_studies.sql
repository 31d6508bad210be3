-- Cath studies under a former number are the present number's. Where a merge ended, the next reading of the reports
-- gives them back.
UPDATE cath_studies AS s
SET patient_id = c.present_id, changed_at = now()
FROM changed_patients AS c
WHERE s.patient_id = c.patient_id AND s.patient_id <> c.present_id
