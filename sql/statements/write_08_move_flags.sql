-- The flags of every model are the patient's to whom the ECG belongs.
SELECT move_flags(array_agg(f.id), 'stence', 'its ECG was scored under another patient')
FROM flags AS f
JOIN ecgs AS e USING (content_hash)
WHERE e.content_hash IN (SELECT content_hash FROM staged_results WHERE reason IS NULL)
  AND e.content_hash NOT IN (SELECT content_hash FROM conflicts)
  AND f.patient_id <> e.patient_id
  AND EXISTS (SELECT FROM scores AS s WHERE s.content_hash = f.content_hash AND s.model_version = f.model_version)
HAVING count(*) > 0
