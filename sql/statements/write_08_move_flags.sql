-- The flags of every model are the patient's to whom the ECG belongs. Those of other models that were withdrawn because
-- that was unclear come back.
UPDATE flags AS f
SET patient_id = e.patient_id,
    state = CASE f.withdrawn_for WHEN 'patient_unclear' THEN 'open' ELSE f.state END,
    reviewed_by = CASE f.withdrawn_for WHEN 'patient_unclear' THEN NULL ELSE f.reviewed_by END,
    reviewed_at = CASE f.withdrawn_for WHEN 'patient_unclear' THEN NULL ELSE f.reviewed_at END,
    note = CASE f.withdrawn_for WHEN 'patient_unclear' THEN NULL ELSE f.note END,
    withdrawn_for = CASE f.withdrawn_for WHEN 'patient_unclear' THEN NULL ELSE f.withdrawn_for END
FROM ecgs AS e
WHERE e.content_hash IN (SELECT content_hash FROM staged_results WHERE reason IS NULL)
  AND e.content_hash NOT IN (SELECT content_hash FROM conflicts)
  AND f.content_hash = e.content_hash AND (f.patient_id <> e.patient_id OR f.withdrawn_for = 'patient_unclear')
  AND EXISTS (SELECT FROM scores AS s WHERE s.content_hash = f.content_hash AND s.model_version = f.model_version)
