-- What a model said of the ECGs of a time.
SELECT e.patient_id, s.stenosis_50, s.stenosis_70, s.stenosis_90, s.stenosis_100, s.rca_70, s.lca_70,
       e.sex, e.age, e.device, e.site
FROM ecgs AS e
JOIN scores AS s USING (content_hash)
WHERE coalesce(e.acquired_at, e.first_read_at) >= :start AND coalesce(e.acquired_at, e.first_read_at) < :end
  AND s.model_version = :model_version AND s.preprocessing_version = :preprocessing_version
ORDER BY e.patient_id, e.content_hash
