-- Rows that cannot be used; what was seen before is seen again.
INSERT INTO report_faults AS f (report_key, line, reason, state)
SELECT report_key, line, reason, 'open' FROM staged_faults ORDER BY report_key, line
ON CONFLICT (report_key, line) DO UPDATE
    SET reason = EXCLUDED.reason, state = 'open', seen_at = now()
