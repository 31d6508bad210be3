-- Rows that give one file to several patients: none of them can be trusted. Their line numbers.
DELETE FROM staged_manifest_records
WHERE record_key IN (
    SELECT record_key FROM staged_manifest_records GROUP BY record_key HAVING count(DISTINCT patient_id) > 1
)
RETURNING line
