-- Rows that cannot be used; what was seen before is seen again.
INSERT INTO source_faults AS f (kind, source_key, line, reason, state)
SELECT DISTINCT ON (source_key, line) :kind, source_key, line, reason, 'open'
FROM staged_faults
ORDER BY source_key, line, reason
ON CONFLICT (kind, source_key, line) DO UPDATE
    SET reason = EXCLUDED.reason, state = 'open', seen_at = now()
