-- Remember which ECG each file holds, and for whom.
UPDATE objects AS o
SET content_hash = s.content_hash, patient_id = s.patient_id, format = s.format
FROM staged_results AS s
WHERE s.reason IS NULL AND o.id = s.object_id
  AND (o.content_hash, o.patient_id, o.format) IS DISTINCT FROM (s.content_hash, s.patient_id, s.format)
