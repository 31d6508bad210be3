-- One row for each number that was merged into another, or ended to be.
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
COMMENT ON COLUMN patient_numbers.former_id IS 'Number that was given up.';
COMMENT ON COLUMN patient_numbers.merged_into IS 'Number that it was merged into.';
COMMENT ON COLUMN patient_numbers.present_id IS 'Number that the patient has now, at the end of all merges.';
COMMENT ON COLUMN patient_numbers.state IS 'active or ended.';
COMMENT ON COLUMN patient_numbers.split IS 'Split decided for all numbers of the patient, where theirs differed.';
COMMENT ON COLUMN patient_numbers.source IS 'file or command.';
COMMENT ON COLUMN patient_numbers.source_key IS 'Object key of the merge table.';
COMMENT ON COLUMN patient_numbers.made_by IS 'Who said so.';
COMMENT ON COLUMN patient_numbers.reason IS 'Why.';
COMMENT ON COLUMN patient_numbers.made_at IS 'When it was taken up.';
COMMENT ON COLUMN patient_numbers.ended_by IS 'Who or what ended it.';
COMMENT ON COLUMN patient_numbers.ended_at IS 'When it ended.';
