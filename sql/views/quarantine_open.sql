-- One row per file in quarantine now.
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

COMMENT ON VIEW quarantine_open IS 'ECG and angiogram files in quarantine.';
COMMENT ON COLUMN quarantine_open.id IS 'Number of the row, for stence quarantine retry.';
COMMENT ON COLUMN quarantine_open.kind IS 'ecg or angiogram.';
COMMENT ON COLUMN quarantine_open.object_key IS 'Key of the file in the object store.';
COMMENT ON COLUMN quarantine_open.reason IS 'Code of the reason.';
COMMENT ON COLUMN quarantine_open.lead IS 'Lead with the fault.';
COMMENT ON COLUMN quarantine_open.value IS 'Measured value.';
COMMENT ON COLUMN quarantine_open.detail IS 'Finding and action, in words.';
COMMENT ON COLUMN quarantine_open.entered_at IS 'Time of the entry.';
COMMENT ON COLUMN quarantine_open.run_id IS 'Run that refused it; ECGs only.';
