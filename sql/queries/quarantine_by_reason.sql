-- For which reasons are ECG files refused, and how often? Most frequent first.
SELECT reason, open, retried, resolved, dismissed, oldest, newest, example
FROM quarantine_summary
ORDER BY open DESC, reason;
