-- One row per patient and model: the risk of the newest ECG that has a valid score, and how it came about.
CREATE VIEW patient_risk WITH (security_invoker = true) AS
SELECT newest.patient_id,
       newest.model_version,
       newest.decisive,
       newest.probability,
       newest.expected_degree,
       newest.ecg_at,
       newest.ecg_id,
       history.ecgs,
       history.previous_probability,
       newest.probability - history.previous_probability AS change,
       history.highest_probability,
       history.mean_probability,
       newest.stenosis_50,
       newest.stenosis_70,
       newest.stenosis_90,
       newest.stenosis_100,
       newest.rca_70,
       newest.lca_70
FROM valid_scores AS newest
CROSS JOIN LATERAL (
    SELECT count(*) AS ecgs,
           max(v.probability) AS highest_probability,
           avg(v.probability) AS mean_probability,
           (array_agg(v.probability ORDER BY v.ecg_at DESC, v.ecg_id DESC))[2] AS previous_probability
    FROM valid_scores AS v
    WHERE v.patient_id = newest.patient_id AND v.model_version = newest.model_version
) AS history
WHERE NOT EXISTS (SELECT
                  FROM valid_scores AS newer
                  WHERE newer.patient_id = newest.patient_id AND newer.model_version = newest.model_version
                    AND (newer.ecg_at, newer.ecg_id) > (newest.ecg_at, newest.ecg_id));

COMMENT ON VIEW patient_risk IS 'Present risk of each patient by model: that of the newest ECG with a valid score.';
COMMENT ON COLUMN patient_risk.patient_id IS 'Pseudonym of the patient.';
COMMENT ON COLUMN patient_risk.model_version IS 'Model.';
COMMENT ON COLUMN patient_risk.decisive IS 'Target that decides who is on the list.';
COMMENT ON COLUMN patient_risk.probability IS 'Calibrated probability of this target by the newest ECG, 0 to 1.';
COMMENT ON COLUMN patient_risk.expected_degree IS 'Worst narrowing to expect by the newest ECG, percent.';
COMMENT ON COLUMN patient_risk.ecg_at IS 'Time of the newest ECG.';
COMMENT ON COLUMN patient_risk.ecg_id IS 'Number of the newest ECG.';
COMMENT ON COLUMN patient_risk.ecgs IS 'ECGs of the patient with a valid score of the model.';
COMMENT ON COLUMN patient_risk.previous_probability IS 'Probability by the ECG before; empty without one.';
COMMENT ON COLUMN patient_risk.change IS 'Probability by the newest ECG minus that by the ECG before.';
COMMENT ON COLUMN patient_risk.highest_probability IS 'Highest probability of these ECGs.';
COMMENT ON COLUMN patient_risk.mean_probability IS 'Mean probability of these ECGs.';
COMMENT ON COLUMN patient_risk.stenosis_50 IS 'Calibrated probability of a stenosis of at least 50 % by the newest ECG.';
COMMENT ON COLUMN patient_risk.stenosis_70 IS 'Calibrated probability of a stenosis of at least 70 %.';
COMMENT ON COLUMN patient_risk.stenosis_90 IS 'Calibrated probability of a stenosis of at least 90 %.';
COMMENT ON COLUMN patient_risk.stenosis_100 IS 'Calibrated probability of an occlusion.';
COMMENT ON COLUMN patient_risk.rca_70 IS 'Calibrated probability of a stenosis of at least 70 % in the right coronary artery.';
COMMENT ON COLUMN patient_risk.lca_70 IS 'Calibrated probability of a stenosis of at least 70 % in the left coronary artery.';
