-- One ECG, drawn by its key, of each of at most :limit patients without a cath study, drawn by their numbers. Only
-- patients whom a manifest or an earlier reading of the file names, and only ECGs since :since, or of unknown time.
SELECT drawn.id, drawn.key, drawn.etag, drawn.patient_id, drawn.acquired_at, drawn.indication
FROM (
    SELECT DISTINCT ON (coalesce(m.patient_id, o.patient_id))
           o.id, o.key, o.etag, coalesce(m.patient_id, o.patient_id) AS patient_id, m.acquired_at, m.indication
    FROM objects AS o
    LEFT JOIN manifest_records AS m USING (record_key)
    WHERE o.kind = 'ecg' AND m.contradiction IS NULL
      AND coalesce(m.patient_id, o.patient_id) IS NOT NULL
      AND coalesce(m.patient_id, o.patient_id) <> ALL(:patients)
      AND (m.acquired_at IS NULL OR m.acquired_at >= :since)
    ORDER BY coalesce(m.patient_id, o.patient_id), md5(o.key)
) AS drawn
ORDER BY md5(drawn.patient_id)
LIMIT :limit
