-- Patients with an ECG at one of the sites, by a manifest or by an earlier reading of the file; of files that were
-- known before a time, if it is given.
SELECT m.patient_id
FROM manifest_records AS m JOIN objects AS o USING (record_key)
WHERE o.kind = 'ecg' AND m.patient_id IS NOT NULL AND m.site = ANY(:sites)
  AND (CAST(:known_before AS timestamptz) IS NULL OR o.first_seen_at < :known_before)
UNION
SELECT e.patient_id
FROM ecgs AS e JOIN objects AS o ON o.id = e.object_id
WHERE e.site = ANY(:sites)
  AND (CAST(:known_before AS timestamptz) IS NULL OR o.first_seen_at < :known_before)
