-- Pages that name another patient than the ECG has now, or whose ECG has no certain patient any more.
SELECT pages.content_hash, pages.model_version, pages.object_key
FROM ecg_pages AS pages
JOIN ecgs USING (content_hash)
WHERE ecgs.patient_id <> pages.patient_id
   OR EXISTS (SELECT FROM flags
              WHERE flags.content_hash = pages.content_hash AND flags.model_version = pages.model_version
                AND flags.withdrawn_for IN ('patient_conflict', 'patient_unclear'))
