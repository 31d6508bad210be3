-- All numbers of the patient with a number: the present one and the former ones.
WITH present AS (
    SELECT coalesce((SELECT present_id FROM patient_aliases WHERE patient_id = :patient_id), :patient_id) AS patient_id
)
SELECT patient_id FROM present
UNION
SELECT former.patient_id FROM patient_aliases AS former JOIN present ON present.patient_id = former.present_id
ORDER BY patient_id
