-- Messages that wait to be sent, in the order of their numbers, with all that is said about their flags.
SELECT e.id, e.status, e.patient_id, e.planned_at,
       f.id AS flag_id, f.content_hash, f.target, f.probability, f.threshold, f.rule, f.raised_at, f.withdrawn_for,
       ecgs.acquired_at,
       models.version AS model_version, models.sha256 AS model_sha256, models.manifest -> 'card' AS card,
       s.run_id, s.scored_at, s.stenosis_50, s.stenosis_70, s.stenosis_90, s.stenosis_100, s.rca_70, s.lca_70
FROM flag_exports AS e
JOIN flags AS f ON f.id = e.flag_id
JOIN ecgs ON ecgs.content_hash = f.content_hash
JOIN models ON models.version = f.model_version
LEFT JOIN scores AS s ON s.content_hash = f.content_hash AND s.model_version = f.model_version
                     AND s.preprocessing_version = models.preprocessing_version
WHERE e.format = :format AND e.destination = :destination AND e.sent_at IS NULL AND e.id > :after
  AND (CAST(:flags AS bigint[]) IS NULL OR e.flag_id = ANY (CAST(:flags AS bigint[])))
ORDER BY e.id
LIMIT :limit
