-- One row for each reason ECG or angiogram files were refused.
CREATE VIEW quarantine_summary WITH (security_invoker = true) AS
SELECT objects.kind,
       reason,
       count(*) FILTER (WHERE state = 'open') AS open,
       count(*) FILTER (WHERE state = 'retried') AS retried,
       count(*) FILTER (WHERE state = 'resolved') AS resolved,
       count(*) FILTER (WHERE state = 'dismissed') AS dismissed,
       min(entered_at) AS oldest,
       max(entered_at) AS newest,
       -- Object keys often hold a patient's number: whatever has a slash in it is left out.
       regexp_replace((array_agg(detail ORDER BY state = 'open' DESC, quarantine.id DESC))[1], '\S*/\S*', '…', 'g')
           AS example
FROM quarantine JOIN objects ON objects.id = quarantine.object_id
GROUP BY objects.kind, reason;

COMMENT ON VIEW quarantine_summary IS 'Reasons for which files were refused, with counts; no patient in it.';
COMMENT ON COLUMN quarantine_summary.kind IS 'ecg or angiogram.';
COMMENT ON COLUMN quarantine_summary.reason IS 'Code of the reason.';
COMMENT ON COLUMN quarantine_summary.open IS 'Files that are in quarantine for it now.';
COMMENT ON COLUMN quarantine_summary.retried IS 'Times such a file was tried again.';
COMMENT ON COLUMN quarantine_summary.resolved IS 'Times such a file could be used later.';
COMMENT ON COLUMN quarantine_summary.dismissed IS 'Files that were left for good.';
COMMENT ON COLUMN quarantine_summary.oldest IS 'When the first came in.';
COMMENT ON COLUMN quarantine_summary.newest IS 'When the last came in.';
COMMENT ON COLUMN quarantine_summary.example IS 'What was found in one of them, object keys left out.';
