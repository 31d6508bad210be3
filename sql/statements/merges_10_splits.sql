-- Splits of cath studies and pairs, where one was decided for the patient.
WITH studies AS (
    UPDATE cath_studies AS s SET split = p.split, changed_at = now()
    FROM patient_splits AS p
    WHERE s.patient_id = p.patient_id AND s.split <> p.split
)
UPDATE ecg_study_pairs AS s SET split = p.split
FROM patient_splits AS p
WHERE s.patient_id = p.patient_id AND s.split <> p.split
