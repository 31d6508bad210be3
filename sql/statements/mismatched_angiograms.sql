-- Angiograms whose order or study, by its number, is in the cath reports, but only under another patient. The
-- Study ID is no such number: many scanners count it from 1.
SELECT v.object_id, v.etag
FROM angiogram_views AS v
LEFT JOIN patient_aliases AS a ON a.patient_id = v.patient_id
WHERE v.state <> 'quarantined' AND v.sop_instance_uid IS NOT NULL
  AND EXISTS (
      SELECT FROM cath_studies AS s
      WHERE s.study_id IN (v.accession_number, v.study_instance_uid) AND s.patient_id <> coalesce(a.present_id, v.patient_id)
  )
ORDER BY v.object_id
