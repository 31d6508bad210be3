-- Which ECGs have the highest risk of a stenosis of at least 70 %? By the champion, flagged or not.
--   limit    number of ECGs
\if :{?limit} \else \set limit 50 \endif
SELECT patient_id, acquired_at, ecg_id, object_key, stenosis_50, stenosis_70, stenosis_90, stenosis_100, rca_70, lca_70,
       model_version, scored_at
FROM ecg_risk
WHERE model_version = (SELECT version FROM models WHERE state = 'champion')
ORDER BY stenosis_70 DESC
LIMIT CAST(:'limit' AS bigint);
