-- So are the pairs of ECG and study.
UPDATE ecg_study_pairs AS p
SET patient_id = c.present_id
FROM changed_patients AS c
WHERE p.patient_id = c.patient_id AND p.patient_id <> c.present_id
