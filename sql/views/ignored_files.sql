-- One row for each extension or name of files below the ECG prefix that are no ECGs.
CREATE VIEW ignored_files WITH (security_invoker = true) AS
SELECT kind, files, listed_at
FROM ignored_objects;

COMMENT ON VIEW ignored_files IS 'What lies below the ECG prefix and is no ECG, as the last index listed it.';
COMMENT ON COLUMN ignored_files.kind IS 'Extension, name, or why it was passed over.';
COMMENT ON COLUMN ignored_files.files IS 'How many.';
COMMENT ON COLUMN ignored_files.listed_at IS 'When they were last listed.';
