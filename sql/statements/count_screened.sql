-- Patients with an ECG since :since, or of unknown time, whom a manifest or an earlier reading of the file names:
-- how many have a cath study, and how many have none; and on how many days how many of them had an ECG of known time.
SELECT count(DISTINCT patient_id) FILTER (WHERE patient_id = ANY(:patients)) AS referred,
       count(DISTINCT patient_id) FILTER (WHERE patient_id <> ALL(:patients)) AS unreferred,
       count(DISTINCT (patient_id, CAST(acquired_at AS date))) FILTER (WHERE acquired_at IS NOT NULL) AS patient_days,
       CAST(max(acquired_at) AS date) - CAST(min(acquired_at) AS date) + 1 AS days
FROM (
    SELECT coalesce(m.patient_id, o.patient_id) AS patient_id, coalesce(m.acquired_at, e.acquired_at) AS acquired_at
    FROM objects AS o
    LEFT JOIN manifest_records AS m USING (record_key)
    LEFT JOIN ecgs AS e ON e.content_hash = o.content_hash
    WHERE o.kind = 'ecg' AND m.contradiction IS NULL AND (m.acquired_at IS NULL OR m.acquired_at >= :since)
) AS named
