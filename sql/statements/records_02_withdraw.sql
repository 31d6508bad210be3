-- Records that no manifest names any more.
DELETE FROM manifest_records
WHERE record_key IN (SELECT record_key FROM changed_records WHERE patient_id IS NULL AND contradiction IS NULL)
