-- Which numbers has a patient had? By any of the patient's numbers, newest merge first.
--   patient  pseudonym of one of the patient's numbers (required)
\if :{?patient} \else \warn 'give a patient: psql -v patient=... -f patient_numbers.sql' \quit \endif
WITH present AS (
    SELECT coalesce((SELECT present_id FROM patient_aliases WHERE patient_id = :'patient'), :'patient') AS present_id
)
SELECT numbers.former_id, numbers.merged_into, numbers.present_id, numbers.state, numbers.split, numbers.made_by,
       numbers.reason, numbers.made_at, numbers.ended_by, numbers.ended_at
FROM patient_numbers AS numbers, present
WHERE numbers.present_id = present.present_id OR numbers.former_id = :'patient' OR numbers.merged_into = :'patient'
ORDER BY numbers.made_at DESC, numbers.former_id;
