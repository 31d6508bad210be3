-- Find every angiogram's cath study: the one it names, else the only one of its patient within 12 hours.
-- Patients go by their present numbers. Done
-- for all, not only new ones, so that the order in which files and reports arrive makes no difference.
WITH views AS (
    SELECT v.object_id, v.accession_number, v.study_instance_uid, v.dicom_study_id, v.acquired_at,
           coalesce(a.present_id, v.patient_id) AS patient_id
    FROM angiogram_views AS v LEFT JOIN patient_aliases AS a ON a.patient_id = v.patient_id
), named AS (
    SELECT DISTINCT ON (v.object_id) v.object_id, s.study_id
    FROM views AS v
    JOIN cath_studies AS s
      ON s.study_id IN (v.accession_number, v.study_instance_uid, v.dicom_study_id)
     AND s.patient_id = v.patient_id
    ORDER BY v.object_id,
             array_position(ARRAY[v.accession_number, v.study_instance_uid, v.dicom_study_id], s.study_id)
), near AS (
    SELECT v.object_id, min(s.study_id) AS study_id
    FROM views AS v
    JOIN cath_studies AS s
      ON s.patient_id = v.patient_id
     AND s.performed_at BETWEEN v.acquired_at - interval '12 hours' AND v.acquired_at + interval '12 hours'
    GROUP BY v.object_id
    HAVING count(*) = 1
), found AS (
    SELECT v.object_id, coalesce(named.study_id, near.study_id) AS study_id
    FROM angiogram_views AS v LEFT JOIN named USING (object_id) LEFT JOIN near USING (object_id)
    WHERE v.state <> 'quarantined' AND v.sop_instance_uid IS NOT NULL
)
UPDATE angiogram_views AS v
SET study_id = found.study_id, changed_at = now()
FROM found
WHERE v.object_id = found.object_id AND v.study_id IS DISTINCT FROM found.study_id
