-- Rows that could not be used once, and are seen no more: of one source, or of all of the kind.
UPDATE source_faults AS f
SET state = 'mended'
WHERE f.state = 'open' AND f.kind = :kind AND f.source_key = coalesce(:source_key, f.source_key)
  AND NOT EXISTS (SELECT FROM staged_faults AS s WHERE s.source_key = f.source_key AND s.line = f.line)
