-- One row per patient with a flag that is open or confirmed. The flag of highest probability leads.
-- Without DISTINCT or GROUP BY, a query with ORDER BY probability DESC, id DESC LIMIT n reads n rows only.
CREATE VIEW flagged_patients WITH (security_invoker = true) AS
SELECT flags.patient_id,
       flags.target,
       flags.probability,
       flags.threshold,
       flags.rule,
       ARRAY(SELECT DISTINCT f.target
             FROM flags AS f
             WHERE f.patient_id = flags.patient_id AND f.state IN ('open', 'confirmed')
             ORDER BY f.target) AS targets,
       ecgs.acquired_at,
       objects.key AS object_key,
       ecgs.device,
       ecgs.warnings,
       flags.model_version,
       scores.run_id,
       flags.id AS flag_id,
       ARRAY(SELECT f.id
             FROM flags AS f
             WHERE f.patient_id = flags.patient_id AND f.state IN ('open', 'confirmed')
             ORDER BY f.id) AS flag_ids,
       flags.state,
       flags.raised_at,
       ecgs.id AS ecg_id
FROM flags
JOIN ecgs ON ecgs.content_hash = flags.content_hash
JOIN objects ON objects.id = ecgs.object_id
JOIN models ON models.version = flags.model_version
LEFT JOIN scores ON scores.content_hash = flags.content_hash
                AND scores.model_version = flags.model_version
                AND scores.preprocessing_version = models.preprocessing_version
WHERE flags.state IN ('open', 'confirmed')
  AND NOT EXISTS (SELECT
                  FROM flags AS higher
                  WHERE higher.patient_id = flags.patient_id
                    AND higher.state IN ('open', 'confirmed')
                    AND (higher.probability, higher.id) > (flags.probability, flags.id));

COMMENT ON VIEW flagged_patients IS
    'Patients with a flag that is open or confirmed, each with the flag of highest probability.';
COMMENT ON COLUMN flagged_patients.patient_id IS 'Patient, as the hospital numbers them.';
COMMENT ON COLUMN flagged_patients.target IS 'Target of the leading flag.';
COMMENT ON COLUMN flagged_patients.probability IS 'Calibrated probability of the leading flag, 0 to 1.';
COMMENT ON COLUMN flagged_patients.threshold IS 'Threshold of the leading flag.';
COMMENT ON COLUMN flagged_patients.rule IS 'Method by which the threshold was chosen.';
COMMENT ON COLUMN flagged_patients.targets IS 'Targets of all flags of the patient.';
COMMENT ON COLUMN flagged_patients.acquired_at IS 'Time of the recording of the leading flag''s ECG.';
COMMENT ON COLUMN flagged_patients.object_key IS 'Key of the ECG''s file in the object store.';
COMMENT ON COLUMN flagged_patients.device IS 'Electrocardiograph of the ECG.';
COMMENT ON COLUMN flagged_patients.warnings IS 'Remarks on the ECG''s quality.';
COMMENT ON COLUMN flagged_patients.model_version IS 'Model that raised the leading flag.';
COMMENT ON COLUMN flagged_patients.run_id IS 'Run that scored the ECG.';
COMMENT ON COLUMN flagged_patients.flag_id IS 'Number of the leading flag.';
COMMENT ON COLUMN flagged_patients.flag_ids IS 'Numbers of all the patient''s listed flags.';
COMMENT ON COLUMN flagged_patients.state IS 'State of the leading flag: open or confirmed.';
COMMENT ON COLUMN flagged_patients.raised_at IS 'Time at which the leading flag was raised.';
COMMENT ON COLUMN flagged_patients.ecg_id IS 'Number of the ECG of the leading flag, for stence review.';
