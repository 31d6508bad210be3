-- One row per ECG that the last training paired with a cath study.
CREATE VIEW cath_pairs WITH (security_invoker = true) AS
SELECT pairs.patient_id,
       pairs.split,
       objects.key AS object_key,
       studies.performed_at - make_interval(secs => 86400 * pairs.days_before) AS acquired_at,
       pairs.days_before,
       pairs.weight,
       pairs.study_id,
       studies.performed_at,
       studies.max_degree,
       ARRAY(SELECT stenoses.segment
             FROM segment_stenoses AS stenoses
             WHERE stenoses.study_id = pairs.study_id AND stenoses.degree >= 70
             ORDER BY stenoses.segment) AS severe_segments,
       (SELECT count(*)
        FROM angiogram_views AS views
        WHERE views.study_id = pairs.study_id AND views.state = 'ready') AS angiograms,
       pairs.paired_at,
       pairs.content_hash
FROM ecg_study_pairs AS pairs
JOIN cath_studies AS studies ON studies.study_id = pairs.study_id
JOIN objects ON objects.id = pairs.object_id;

COMMENT ON VIEW cath_pairs IS
    'ECGs that the last training paired with a cath study, with the findings of the study.';
COMMENT ON COLUMN cath_pairs.patient_id IS 'Pseudonym of the patient.';
COMMENT ON COLUMN cath_pairs.split IS
    'train, validation, calibration or test; depends on the patient only and never changes.';
COMMENT ON COLUMN cath_pairs.object_key IS 'Key of the ECG''s file in the object store.';
COMMENT ON COLUMN cath_pairs.acquired_at IS 'Time of the recording.';
COMMENT ON COLUMN cath_pairs.days_before IS 'Days from the ECG to the study.';
COMMENT ON COLUMN cath_pairs.weight IS 'Sample weight: one over the number of the patient''s ECGs.';
COMMENT ON COLUMN cath_pairs.study_id IS 'Study, as the cath report numbers it.';
COMMENT ON COLUMN cath_pairs.performed_at IS 'Time of the angiography.';
COMMENT ON COLUMN cath_pairs.max_degree IS 'Worst narrowing of the 16 segments, percent.';
COMMENT ON COLUMN cath_pairs.severe_segments IS 'Segments narrowed by 70 % or more.';
COMMENT ON COLUMN cath_pairs.angiograms IS 'Angiograms of the study that are ready.';
COMMENT ON COLUMN cath_pairs.paired_at IS 'Time of the first pairing.';
COMMENT ON COLUMN cath_pairs.content_hash IS 'SHA-256 of the ECG''s signal and sampling rate.';
