-- One row per extension or name of files below the ECG prefix that are not ECGs.
CREATE VIEW ignored_files WITH (security_invoker = true) AS
SELECT kind, files, listed_at
FROM ignored_objects;

COMMENT ON VIEW ignored_files IS 'Files below the ECG prefix that are not ECGs, as of the last listing.';
COMMENT ON COLUMN ignored_files.kind IS 'Extension or name of the files, or the reason for ignoring them.';
COMMENT ON COLUMN ignored_files.files IS 'Number of files.';
COMMENT ON COLUMN ignored_files.listed_at IS 'Time of the last listing.';
