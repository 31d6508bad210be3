-- One row per file of an ECG. The same ECG may lie in several files, also of several formats; it is scored once.
CREATE VIEW ecg_files WITH (security_invoker = true) AS
SELECT ecgs.id AS ecg_id,
       objects.key AS object_key,
       objects.format,
       objects.size_bytes,
       objects.first_seen_at,
       objects.id = ecgs.object_id AS is_first
FROM ecgs
JOIN objects ON objects.content_hash = ecgs.content_hash AND objects.kind = 'ecg';

COMMENT ON VIEW ecg_files IS 'Files of each ECG: copies, and exports of the same recording in several formats.';
COMMENT ON COLUMN ecg_files.ecg_id IS 'Number of the ECG.';
COMMENT ON COLUMN ecg_files.object_key IS 'Key of the file in the object store.';
COMMENT ON COLUMN ecg_files.format IS 'Format of the file; empty: read before formats were kept.';
COMMENT ON COLUMN ecg_files.size_bytes IS 'Size of the file, with all files of its record.';
COMMENT ON COLUMN ecg_files.first_seen_at IS 'Time of the first listing.';
COMMENT ON COLUMN ecg_files.is_first IS 'True: the file that was read first, whose signal was scored.';
