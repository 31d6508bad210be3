-- Keep which number each pseudonym of the batch stands for, where the file of an ECG names its patient.
SELECT identity.remember(array_agg(patient_id), array_agg(number))
FROM staged_results
WHERE number IS NOT NULL
