-- What the manifest no longer says of these records.
DELETE FROM manifest_rows
WHERE manifest_key = :manifest_key AND record_key IN (SELECT record_key FROM touched_records)
