-- One row per patient of the verification sample, each drawn at random among those without a flag.
CREATE VIEW verification_list WITH (security_invoker = true) AS
SELECT ecgs.patient_id,
       ecgs.id AS ecg_id,
       objects.key AS object_key,
       ecgs.acquired_at,
       draw.drawn_at,
       draw.model_version,
       sample.chance,
       CASE WHEN study.performed_at IS NULL THEN 'open' ELSE 'examined' END AS state,
       study.performed_at AS examined_at,
       study.max_degree
FROM verification_sample AS sample
JOIN verification_draws AS draw ON draw.id = sample.draw_id
JOIN ecgs USING (content_hash)
JOIN objects ON objects.id = ecgs.object_id
LEFT JOIN LATERAL (
    SELECT performed_at, max_degree
    FROM cath_studies
    WHERE cath_studies.patient_id = ecgs.patient_id AND cath_studies.performed_at >= ecgs.acquired_at
    ORDER BY performed_at
    LIMIT 1
) AS study ON true;

COMMENT ON VIEW verification_list IS
    'Patients without a flag, drawn at random with a known probability, and whether a cath report followed.';
COMMENT ON COLUMN verification_list.patient_id IS 'Pseudonym of the patient.';
COMMENT ON COLUMN verification_list.ecg_id IS 'Number of the ECG.';
COMMENT ON COLUMN verification_list.object_key IS 'Key of the ECG''s file in the object store.';
COMMENT ON COLUMN verification_list.acquired_at IS 'Time of the recording.';
COMMENT ON COLUMN verification_list.drawn_at IS 'Time of the draw.';
COMMENT ON COLUMN verification_list.model_version IS 'Model that scored the ECG and raised no flag.';
COMMENT ON COLUMN verification_list.chance IS 'Probability of the patient''s inclusion, 0 to 1.';
COMMENT ON COLUMN verification_list.state IS 'open, or examined: a cath report followed the ECG.';
COMMENT ON COLUMN verification_list.examined_at IS 'Time of the angiography; empty while open.';
COMMENT ON COLUMN verification_list.max_degree IS 'Highest degree of stenosis of its report, in percent.';
