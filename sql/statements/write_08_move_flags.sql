-- The flags of every model are the patient's to whom the ECG belongs.
UPDATE flags AS f
SET patient_id = e.patient_id
FROM ecgs AS e
WHERE e.content_hash IN (SELECT content_hash FROM staged_results WHERE reason IS NULL)
  AND e.content_hash NOT IN (SELECT content_hash FROM conflicts)
  AND f.content_hash = e.content_hash AND f.patient_id <> e.patient_id
  AND EXISTS (SELECT FROM scores AS s WHERE s.content_hash = f.content_hash AND s.model_version = f.model_version)
