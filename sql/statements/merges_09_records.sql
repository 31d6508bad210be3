-- What manifests say of these numbers is worked out anew.
INSERT INTO touched_records
SELECT DISTINCT record_key FROM manifest_rows WHERE patient_id IN (SELECT patient_id FROM changed_patients)
