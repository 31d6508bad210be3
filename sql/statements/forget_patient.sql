-- Remove all rows about the patient with these numbers, record it, and count the rows by table.
SELECT forget_patient(:patient_ids, :subject, :by, :why, CAST(:detail AS jsonb))
