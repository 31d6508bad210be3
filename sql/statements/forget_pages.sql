-- Pages of a patient's ECGs in the store.
SELECT DISTINCT p.object_key
FROM ecg_pages AS p LEFT JOIN ecgs AS e USING (content_hash)
WHERE p.patient_id = ANY (:patient_ids) OR e.patient_id = ANY (:patient_ids)
ORDER BY p.object_key
