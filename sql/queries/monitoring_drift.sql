-- Which distances from the reference are largest on the newest day? Lowest p first.
--   limit    number of rows
\if :{?limit} \else \set limit 15 \endif
SELECT area, subject, dimension, member, observations, distance, p_value, psi, psi_consecutive, day
FROM drift_latest
WHERE distance IS NOT NULL
  AND (model_version IS NULL OR model_version = (SELECT version FROM model_versions WHERE state = 'champion'))
ORDER BY p_value, distance DESC, area, subject, dimension, member
LIMIT CAST(:'limit' AS bigint);
