-- Open flags, and those that would open with their model, by model, device and time of the ECG; a filter that is NULL
-- lets all pass.
SELECT f.id, f.model_version, f.target, f.patient_id, f.state
FROM flags AS f
JOIN ecgs AS e USING (content_hash)
WHERE (f.state = 'open' OR f.withdrawn_for = 'model_retired')
  AND (CAST(:model_version AS text) IS NULL OR f.model_version = :model_version)
  AND (CAST(:device AS text) IS NULL OR e.device = :device)
  AND (CAST(:start AS timestamptz) IS NULL OR coalesce(e.acquired_at, e.first_read_at) >= :start)
  AND (CAST(:end AS timestamptz) IS NULL OR coalesce(e.acquired_at, e.first_read_at) < :end)
ORDER BY f.id
FOR UPDATE OF f
