-- Patients with an ECG since :since, or of unknown time, whom a manifest or an earlier reading of the file names:
-- how many have a cath study, and how many have none.
SELECT count(DISTINCT patient_id) FILTER (WHERE patient_id = ANY(:patients)) AS referred,
       count(DISTINCT patient_id) FILTER (WHERE patient_id <> ALL(:patients)) AS unreferred
FROM (
    SELECT coalesce(m.patient_id, o.patient_id) AS patient_id
    FROM objects AS o
    LEFT JOIN manifest_records AS m USING (record_key)
    WHERE o.kind = 'ecg' AND m.contradiction IS NULL AND (m.acquired_at IS NULL OR m.acquired_at >= :since)
) AS named
