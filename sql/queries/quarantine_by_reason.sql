-- Why are ECGs and angiograms refused, and how often? Most frequent reason first.
SELECT kind, reason, open, retried, resolved, dismissed, oldest, newest, example
FROM quarantine_summary
ORDER BY open DESC, kind, reason;
