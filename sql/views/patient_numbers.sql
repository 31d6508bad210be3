-- One row per merge of a number into another, active or ended.
CREATE VIEW patient_numbers WITH (security_invoker = true) AS
SELECT merges.former_id,
       merges.present_id AS merged_into,
       coalesce(aliases.present_id, merges.former_id) AS present_id,
       merges.state,
       merges.split,
       merges.source,
       merges.source_key,
       merges.made_by,
       merges.reason,
       merges.made_at,
       merges.ended_by,
       merges.ended_at
FROM patient_merges AS merges
LEFT JOIN patient_aliases AS aliases ON aliases.patient_id = merges.former_id;

COMMENT ON VIEW patient_numbers IS 'History of merged patient numbers.';
COMMENT ON COLUMN patient_numbers.former_id IS 'Former number.';
COMMENT ON COLUMN patient_numbers.merged_into IS 'Number that replaces the former number.';
COMMENT ON COLUMN patient_numbers.present_id IS 'Present number of the patient, after all merges.';
COMMENT ON COLUMN patient_numbers.state IS 'active or ended.';
COMMENT ON COLUMN patient_numbers.split IS
    'Split of all numbers of the patient, if their splits differed before the merge.';
COMMENT ON COLUMN patient_numbers.source IS 'file or command.';
COMMENT ON COLUMN patient_numbers.source_key IS 'Object key of the merge table.';
COMMENT ON COLUMN patient_numbers.made_by IS 'Author of the merge.';
COMMENT ON COLUMN patient_numbers.reason IS 'Reason.';
COMMENT ON COLUMN patient_numbers.made_at IS 'Time at which the merge was recorded.';
COMMENT ON COLUMN patient_numbers.ended_by IS 'Person, file or stence that ended the merge.';
COMMENT ON COLUMN patient_numbers.ended_at IS 'Time at which the merge ended.';
