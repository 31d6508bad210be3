-- The present number of every former one, as it is to be, and the numbers for which that changes.
CREATE TEMP TABLE IF NOT EXISTS staged_aliases (patient_id text, present_id text) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS changed_patients (patient_id text, present_id text) ON COMMIT DELETE ROWS
