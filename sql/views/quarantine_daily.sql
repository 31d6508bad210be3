-- One row per day and reason, with the number of refused ECG files.
CREATE VIEW quarantine_daily WITH (security_invoker = true) AS
SELECT CAST(quarantine.entered_at AT TIME ZONE 'UTC' AS date) AS day,
       quarantine.reason,
       count(*) AS files,
       count(*) FILTER (WHERE quarantine.state = 'open') AS open
FROM quarantine
JOIN objects ON objects.id = quarantine.object_id
WHERE objects.kind = 'ecg'
GROUP BY 1, 2;

COMMENT ON VIEW quarantine_daily IS 'Refused ECG files by day (UTC) and reason; names no patient.';
COMMENT ON COLUMN quarantine_daily.day IS 'Day (UTC) of the entry into quarantine.';
COMMENT ON COLUMN quarantine_daily.reason IS 'Code of the reason.';
COMMENT ON COLUMN quarantine_daily.files IS 'Files that entered quarantine.';
COMMENT ON COLUMN quarantine_daily.open IS 'Of these: in quarantine now.';
