-- ECG files of the patients that have a cath study, and those whose patient only the file itself can name; none
-- of which manifests name different patients.
SELECT o.id, o.key, o.etag, m.patient_id, m.acquired_at, m.indication
FROM objects AS o
LEFT JOIN manifest_records AS m USING (record_key)
WHERE o.kind = 'ecg' AND m.contradiction IS NULL AND (m.patient_id IS NULL OR m.patient_id = ANY(:patients))
ORDER BY o.key COLLATE "C"
