-- One row for each file in quarantine now.
CREATE VIEW quarantine_open WITH (security_invoker = true) AS
SELECT quarantine.id,
       objects.kind,
       objects.key AS object_key,
       quarantine.reason,
       quarantine.lead,
       quarantine.value,
       quarantine.detail,
       quarantine.entered_at,
       quarantine.run_id
FROM quarantine
JOIN objects ON objects.id = quarantine.object_id
WHERE quarantine.state = 'open';

COMMENT ON VIEW quarantine_open IS 'ECG and angiogram files that are in quarantine now.';
COMMENT ON COLUMN quarantine_open.id IS 'Number of the row, for stence quarantine retry.';
COMMENT ON COLUMN quarantine_open.kind IS 'ecg or angiogram.';
COMMENT ON COLUMN quarantine_open.object_key IS 'Key of the file in the object store.';
COMMENT ON COLUMN quarantine_open.reason IS 'Code of the reason.';
COMMENT ON COLUMN quarantine_open.lead IS 'The lead concerned.';
COMMENT ON COLUMN quarantine_open.value IS 'What was measured.';
COMMENT ON COLUMN quarantine_open.detail IS 'What was found, in words, and what to do.';
COMMENT ON COLUMN quarantine_open.entered_at IS 'When it came in.';
COMMENT ON COLUMN quarantine_open.run_id IS 'Run that refused it; ECGs only.';
