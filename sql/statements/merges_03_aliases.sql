-- Present numbers as they are now.
WITH gone AS (
    DELETE FROM patient_aliases WHERE patient_id NOT IN (SELECT patient_id FROM staged_aliases)
)
INSERT INTO patient_aliases AS a (patient_id, present_id)
SELECT patient_id, present_id FROM staged_aliases ORDER BY patient_id
ON CONFLICT (patient_id) DO UPDATE SET present_id = EXCLUDED.present_id
    WHERE a.present_id <> EXCLUDED.present_id
