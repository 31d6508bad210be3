-- The list: one row per patient to review. Patients whose newest ECG is not flagged, whose severe disease is known, whose
-- ECG was followed by a cath study, and snoozed ones are in flagged_patients_all only.
CREATE VIEW flagged_patients WITH (security_invoker = true) AS
SELECT patient_id,
       probability,
       probability_lower,
       probability_upper,
       threshold,
       unexamined_probability,
       unexamined_lower,
       unexamined_upper,
       expected_degree,
       acquired_at,
       ecgs,
       previous_probability,
       change,
       last_study_at,
       last_study_degree,
       days_since_study,
       worst_degree,
       intervention_at,
       last_review,
       last_reviewed_at,
       snoozed_until,
       novelty,
       unlike,
       stenosis_50,
       stenosis_70,
       stenosis_90,
       stenosis_100,
       rca_70,
       lca_70,
       site,
       sex,
       age,
       device,
       warnings,
       statements,
       measurements,
       (SELECT objects.key
        FROM ecgs JOIN objects ON objects.id = ecgs.object_id
        WHERE ecgs.id = listed.ecg_id) AS object_key,
       (SELECT pages.object_key
        FROM ecgs JOIN ecg_pages AS pages USING (content_hash)
        WHERE ecgs.id = listed.ecg_id AND pages.model_version = listed.model_version) AS page_key,
       target,
       rule,
       model_version,
       run_id,
       ecg_id,
       flag_id,
       flag_ids,
       state,
       raised_at,
       exported_at
FROM flagged_patients_all AS listed
WHERE listed.listed;

COMMENT ON VIEW flagged_patients IS
    'The list: patients whose newest ECG has an open or confirmed flag, without known severe disease or a later cath study, not snoozed.';
COMMENT ON COLUMN flagged_patients.patient_id IS 'Pseudonym of the patient.';
COMMENT ON COLUMN flagged_patients.probability IS 'Calibrated probability of the target by the newest flagged ECG, among everybody with an ECG.';
COMMENT ON COLUMN flagged_patients.probability_lower IS 'Lower end of its 95 % interval; empty if the model cannot tell.';
COMMENT ON COLUMN flagged_patients.probability_upper IS 'Upper end of its 95 % interval.';
COMMENT ON COLUMN flagged_patients.threshold IS 'Threshold that it reached.';
COMMENT ON COLUMN flagged_patients.unexamined_probability IS 'The same for patients whom nobody referred to a cath study, where that can be estimated; empty if the patient had one.';
COMMENT ON COLUMN flagged_patients.unexamined_lower IS 'Lower end of its 95 % interval, by what is known of referral.';
COMMENT ON COLUMN flagged_patients.unexamined_upper IS 'Upper end of its 95 % interval.';
COMMENT ON COLUMN flagged_patients.expected_degree IS 'Worst narrowing to expect, percent; see valid_scores.';
COMMENT ON COLUMN flagged_patients.acquired_at IS 'Time of the recording.';
COMMENT ON COLUMN flagged_patients.ecgs IS 'ECGs of the patient with a valid score of the model.';
COMMENT ON COLUMN flagged_patients.previous_probability IS 'Probability by the ECG before; empty without one.';
COMMENT ON COLUMN flagged_patients.change IS 'Probability minus that by the ECG before.';
COMMENT ON COLUMN flagged_patients.last_study_at IS 'Time of the patient''s last cath study; empty without one.';
COMMENT ON COLUMN flagged_patients.last_study_degree IS 'Worst narrowing in the last cath study, percent.';
COMMENT ON COLUMN flagged_patients.days_since_study IS 'Days since the last cath study.';
COMMENT ON COLUMN flagged_patients.worst_degree IS 'Worst narrowing in any cath study of the patient, percent.';
COMMENT ON COLUMN flagged_patients.intervention_at IS 'Last intervention that a cath report tells of.';
COMMENT ON COLUMN flagged_patients.last_review IS 'Outcome of the last review of any ECG of the patient.';
COMMENT ON COLUMN flagged_patients.last_reviewed_at IS 'Time of this review.';
COMMENT ON COLUMN flagged_patients.snoozed_until IS 'Last day of the newest snooze, past or to come.';
COMMENT ON COLUMN flagged_patients.novelty IS 'Percentage of held-out ECGs that resemble the training ECGs more.';
COMMENT ON COLUMN flagged_patients.unlike IS 'True: the ECG is unlike the training ECGs, its score less certain.';
COMMENT ON COLUMN flagged_patients.stenosis_50 IS 'Calibrated probability of a stenosis of at least 50 %.';
COMMENT ON COLUMN flagged_patients.stenosis_70 IS 'Calibrated probability of a stenosis of at least 70 %.';
COMMENT ON COLUMN flagged_patients.stenosis_90 IS 'Calibrated probability of a stenosis of at least 90 %.';
COMMENT ON COLUMN flagged_patients.stenosis_100 IS 'Calibrated probability of an occlusion.';
COMMENT ON COLUMN flagged_patients.rca_70 IS 'Calibrated probability of a stenosis of at least 70 % in the right coronary artery.';
COMMENT ON COLUMN flagged_patients.lca_70 IS 'Calibrated probability of a stenosis of at least 70 % in the left coronary artery.';
COMMENT ON COLUMN flagged_patients.site IS 'Site of the recording.';
COMMENT ON COLUMN flagged_patients.sex IS 'F or M, where the file says so.';
COMMENT ON COLUMN flagged_patients.age IS 'Years, where the file says so.';
COMMENT ON COLUMN flagged_patients.device IS 'Electrocardiograph of the ECG.';
COMMENT ON COLUMN flagged_patients.warnings IS 'Remarks on the ECG''s quality.';
COMMENT ON COLUMN flagged_patients.statements IS 'Statements of the electrocardiograph; nobody has confirmed them.';
COMMENT ON COLUMN flagged_patients.measurements IS 'Measurements of the electrocardiograph: heart_rate in 1/min, durations in ms, axes in degrees.';
COMMENT ON COLUMN flagged_patients.object_key IS 'Key of the ECG''s file in the object store.';
COMMENT ON COLUMN flagged_patients.page_key IS 'Key of the ECG''s page in the object store; empty until it is written.';
COMMENT ON COLUMN flagged_patients.target IS 'Decisive target, for which the flag was raised.';
COMMENT ON COLUMN flagged_patients.rule IS 'Method by which the threshold was chosen.';
COMMENT ON COLUMN flagged_patients.model_version IS 'Model that raised the flag.';
COMMENT ON COLUMN flagged_patients.run_id IS 'Run that scored the ECG.';
COMMENT ON COLUMN flagged_patients.ecg_id IS 'Number of the ECG, for stence review and stence snooze.';
COMMENT ON COLUMN flagged_patients.flag_id IS 'Number of the flag.';
COMMENT ON COLUMN flagged_patients.flag_ids IS 'Numbers of all the patient''s open and confirmed flags.';
COMMENT ON COLUMN flagged_patients.state IS 'State of the flag: open or confirmed.';
COMMENT ON COLUMN flagged_patients.raised_at IS 'Time at which the flag was raised.';
COMMENT ON COLUMN flagged_patients.exported_at IS 'Time at which another system confirmed it; empty: not sent.';
