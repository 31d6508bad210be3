-- One row per ECG and model that scored it.
CREATE VIEW ecg_risk WITH (security_invoker = true) AS
SELECT ecgs.patient_id,
       ecgs.acquired_at,
       objects.key AS object_key,
       scores.stenosis_50,
       scores.stenosis_70,
       scores.stenosis_90,
       scores.stenosis_100,
       scores.rca_70,
       scores.lca_70,
       scores.model_version,
       scores.preprocessing_version,
       scores.run_id,
       scores.scored_at,
       ecgs.device,
       ecgs.sex,
       ecgs.age,
       ecgs.warnings,
       scores.content_hash,
       ecgs.id AS ecg_id,
       ecgs.site,
       ecgs.indication,
       scores.lower[2] AS stenosis_70_lower,
       scores.upper[2] AS stenosis_70_upper,
       scores.lower,
       scores.upper,
       scores.novelty,
       scores.unlike
FROM scores
JOIN ecgs USING (content_hash)
JOIN objects ON objects.id = ecgs.object_id;

COMMENT ON VIEW ecg_risk IS 'Risks of every scored ECG by model.';
COMMENT ON COLUMN ecg_risk.patient_id IS 'Pseudonym of the patient.';
COMMENT ON COLUMN ecg_risk.acquired_at IS 'Time of the recording.';
COMMENT ON COLUMN ecg_risk.object_key IS 'Key of the ECG''s file in the object store.';
COMMENT ON COLUMN ecg_risk.stenosis_50 IS 'Calibrated probability of a stenosis of at least 50 %, 0 to 1.';
COMMENT ON COLUMN ecg_risk.stenosis_70 IS 'Calibrated probability of a stenosis of at least 70 %.';
COMMENT ON COLUMN ecg_risk.stenosis_90 IS 'Calibrated probability of a stenosis of at least 90 %.';
COMMENT ON COLUMN ecg_risk.stenosis_100 IS 'Calibrated probability of an occlusion.';
COMMENT ON COLUMN ecg_risk.rca_70 IS 'Calibrated probability of a stenosis of at least 70 % in the right coronary artery.';
COMMENT ON COLUMN ecg_risk.lca_70 IS 'Calibrated probability of a stenosis of at least 70 % in the left coronary artery.';
COMMENT ON COLUMN ecg_risk.model_version IS 'Model of the score.';
COMMENT ON COLUMN ecg_risk.preprocessing_version IS 'Version of the preprocessing.';
COMMENT ON COLUMN ecg_risk.run_id IS 'Run of the score.';
COMMENT ON COLUMN ecg_risk.scored_at IS 'Time of the score.';
COMMENT ON COLUMN ecg_risk.device IS 'Electrocardiograph.';
COMMENT ON COLUMN ecg_risk.sex IS 'F or M, where the file says so.';
COMMENT ON COLUMN ecg_risk.age IS 'Years, where the file says so.';
COMMENT ON COLUMN ecg_risk.warnings IS 'Remarks on the ECG''s quality.';
COMMENT ON COLUMN ecg_risk.content_hash IS 'SHA-256 of signal and sampling rate.';
COMMENT ON COLUMN ecg_risk.ecg_id IS 'Number of the ECG, for stence review.';
COMMENT ON COLUMN ecg_risk.site IS 'Site of the recording.';
COMMENT ON COLUMN ecg_risk.indication IS 'Indication.';
COMMENT ON COLUMN ecg_risk.stenosis_70_lower IS 'Lower end of the 95 % interval of stenosis_70; empty: cannot tell.';
COMMENT ON COLUMN ecg_risk.stenosis_70_upper IS 'Upper end of the 95 % interval of stenosis_70; empty: cannot tell.';
COMMENT ON COLUMN ecg_risk.lower IS 'Lower ends of the intervals of the six probabilities, in their order.';
COMMENT ON COLUMN ecg_risk.upper IS 'Upper ends of the intervals of the six probabilities, in their order.';
COMMENT ON COLUMN ecg_risk.novelty IS 'Percentage of held-out ECGs that are more like the model''s training ECGs.';
COMMENT ON COLUMN ecg_risk.unlike IS 'True: unlike the training ECGs, as 1 % of held-out ECGs are. Trust the score less.';
