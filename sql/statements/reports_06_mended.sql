-- Rows that could not be used once, and are seen no more.
UPDATE report_faults AS f
SET state = 'mended'
WHERE f.state = 'open'
  AND NOT EXISTS (SELECT FROM staged_faults AS s WHERE s.report_key = f.report_key AND s.line = f.line)
