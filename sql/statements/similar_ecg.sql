-- An ECG by its number: its patient, a file that holds it, the one that was read first if it still does, and its
-- fingerprint.
SELECT e.patient_id, e.content_hash, o.key, e.fingerprint
FROM ecgs AS e JOIN objects AS o ON o.content_hash = e.content_hash AND o.kind = 'ecg'
WHERE e.id = :ecg_id
ORDER BY o.id <> e.object_id, o.id
LIMIT 1
