-- How many ECGs come shortly before a study that has an angiogram, where at least one of the three (the ECG's
-- file, the report, the study's first usable angiogram) was not there when the last finished training looked.
WITH seen AS (
    SELECT coalesce(max(data_as_of), '-infinity') AS until FROM training_runs WHERE state = 'finished'
), recorded AS (
    SELECT o.id, o.changed_at, coalesce(m.patient_id, e.patient_id) AS patient_id,
           coalesce(e.acquired_at, m.acquired_at) AS acquired_at
    FROM objects AS o
    LEFT JOIN manifest_records AS m USING (record_key)
    LEFT JOIN ecgs AS e ON e.content_hash = o.content_hash
    WHERE o.kind = 'ecg' AND m.contradiction IS NULL
), angiograms AS (
    SELECT study_id, min(changed_at) AS changed_at
    FROM angiogram_views WHERE state <> 'quarantined' GROUP BY study_id
)
SELECT count(*)
FROM seen
CROSS JOIN recorded AS r
CROSS JOIN LATERAL (
    SELECT s.study_id, s.performed_at, s.changed_at
    FROM cath_studies AS s
    WHERE s.patient_id = r.patient_id AND s.performed_at >= r.acquired_at
    ORDER BY s.performed_at
    LIMIT 1
) AS study
JOIN angiograms AS a ON a.study_id = study.study_id
WHERE study.performed_at <= r.acquired_at + make_interval(secs => 86400 * :days)
  AND greatest(r.changed_at, study.changed_at, a.changed_at) > seen.until
  AND NOT EXISTS (
      SELECT FROM cath_studies AS treated
      WHERE treated.patient_id = r.patient_id AND treated.intervention_at <= r.acquired_at
  )
