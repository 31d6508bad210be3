-- One row per kind of file and reason for refusal.
-- With the owner's rights: a reader of counts needs no right to the details, which name object keys.
CREATE VIEW quarantine_summary WITH (security_barrier = true) AS
SELECT objects.kind,
       reason,
       count(*) FILTER (WHERE state = 'open') AS open,
       count(*) FILTER (WHERE state = 'retried') AS retried,
       count(*) FILTER (WHERE state = 'resolved') AS resolved,
       count(*) FILTER (WHERE state = 'dismissed') AS dismissed,
       min(entered_at) AS oldest,
       max(entered_at) AS newest,
       -- Object keys often hold a patient's number: no example of a reason that names files, no word with a slash of others.
       regexp_replace(CASE WHEN reason <> 'patient_conflict' THEN (array_agg(detail ORDER BY state = 'open' DESC, quarantine.id DESC))[1] END, '\S*/\S*', '…', 'g')
           AS example
FROM quarantine JOIN objects ON objects.id = quarantine.object_id
GROUP BY objects.kind, reason;

COMMENT ON VIEW quarantine_summary IS 'Reasons for refused files, with counts; names no patient.';
COMMENT ON COLUMN quarantine_summary.kind IS 'ecg or angiogram.';
COMMENT ON COLUMN quarantine_summary.reason IS 'Code of the reason.';
COMMENT ON COLUMN quarantine_summary.open IS 'Files in quarantine for this reason.';
COMMENT ON COLUMN quarantine_summary.retried IS 'Times such a file was tried again.';
COMMENT ON COLUMN quarantine_summary.resolved IS 'Times such a file could be used later.';
COMMENT ON COLUMN quarantine_summary.dismissed IS 'Dismissed files.';
COMMENT ON COLUMN quarantine_summary.oldest IS 'Time of the first entry.';
COMMENT ON COLUMN quarantine_summary.newest IS 'Time of the last entry.';
COMMENT ON COLUMN quarantine_summary.example IS 'Finding in one of the files, without object keys.';
