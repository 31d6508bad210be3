-- How high is the present risk of patients, and does it rise? The champion's risk by the newest ECG, highest first.
--   limit    number of patients
\if :{?limit} \else \set limit 50 \endif
SELECT patient_id, probability, expected_degree, change, ecgs, highest_probability, mean_probability, ecg_at, ecg_id
FROM patient_risk
WHERE model_version = (SELECT version FROM model_versions WHERE state = 'champion')
ORDER BY probability DESC, ecg_id
LIMIT CAST(:'limit' AS bigint);
