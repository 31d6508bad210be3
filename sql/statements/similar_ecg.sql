-- An ECG by its number: its patient, and the file that it was read from.
SELECT e.patient_id, e.content_hash, o.key
FROM ecgs AS e JOIN objects AS o ON o.id = e.object_id
WHERE e.id = :ecg_id
