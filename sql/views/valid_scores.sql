-- One row per ECG and model: a score that holds at present. Scores of replaced files, and of ECGs whose patient is in
-- doubt, do not.
CREATE VIEW valid_scores WITH (security_invoker = true) AS
SELECT ecgs.patient_id,
       scores.model_version,
       coalesce(ecgs.acquired_at, ecgs.first_read_at) AS ecg_at,
       ecgs.id AS ecg_id,
       scores.content_hash,
       scores.stenosis_50,
       scores.stenosis_70,
       scores.stenosis_90,
       scores.stenosis_100,
       scores.rca_70,
       scores.lca_70,
       coalesce(models.manifest ->> 'decisive', 'stenosis_70') AS decisive,
       CASE coalesce(models.manifest ->> 'decisive', 'stenosis_70')
           WHEN 'stenosis_50' THEN scores.stenosis_50
           WHEN 'stenosis_70' THEN scores.stenosis_70
           WHEN 'stenosis_90' THEN scores.stenosis_90
           WHEN 'stenosis_100' THEN scores.stenosis_100
       END AS probability,
       50 * scores.stenosis_50 + 20 * scores.stenosis_70 + 20 * scores.stenosis_90
           + 10 * scores.stenosis_100 AS expected_degree
FROM ecgs
JOIN scores USING (content_hash)
JOIN models ON models.version = scores.model_version
           AND models.preprocessing_version = scores.preprocessing_version
WHERE EXISTS (SELECT
              FROM objects
              JOIN worklist ON worklist.object_id = objects.id
              WHERE objects.content_hash = scores.content_hash
                AND worklist.model_version = scores.model_version AND worklist.state = 'scored');

COMMENT ON VIEW valid_scores IS 'Scores that hold at present, with the probability of the model''s decisive target.';
COMMENT ON COLUMN valid_scores.patient_id IS 'Pseudonym of the patient.';
COMMENT ON COLUMN valid_scores.model_version IS 'Model of the score.';
COMMENT ON COLUMN valid_scores.ecg_at IS 'Time of the recording; where it is unknown, of the first reading.';
COMMENT ON COLUMN valid_scores.ecg_id IS 'Number of the ECG.';
COMMENT ON COLUMN valid_scores.content_hash IS 'SHA-256 of signal and sampling rate.';
COMMENT ON COLUMN valid_scores.stenosis_50 IS 'Calibrated probability of a stenosis of at least 50 %, 0 to 1.';
COMMENT ON COLUMN valid_scores.stenosis_70 IS 'Calibrated probability of a stenosis of at least 70 %.';
COMMENT ON COLUMN valid_scores.stenosis_90 IS 'Calibrated probability of a stenosis of at least 90 %.';
COMMENT ON COLUMN valid_scores.stenosis_100 IS 'Calibrated probability of an occlusion.';
COMMENT ON COLUMN valid_scores.rca_70 IS 'Calibrated probability of a stenosis of at least 70 % in the right coronary artery.';
COMMENT ON COLUMN valid_scores.lca_70 IS 'Calibrated probability of a stenosis of at least 70 % in the left coronary artery.';
COMMENT ON COLUMN valid_scores.decisive IS 'Target that decides who is on the list.';
COMMENT ON COLUMN valid_scores.probability IS 'Calibrated probability of this target.';
COMMENT ON COLUMN valid_scores.expected_degree IS
    'Worst narrowing to expect, percent: the lowest of the degrees 50, 70, 90 and 100 that hold, by their probabilities.';
