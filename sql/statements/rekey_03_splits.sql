-- Patients whose split the hash of the new pseudonym would change keep theirs.
INSERT INTO patient_splits (patient_id, split)
SELECT old, split FROM rekeyed WHERE split IS NOT NULL
ON CONFLICT (patient_id) DO NOTHING
