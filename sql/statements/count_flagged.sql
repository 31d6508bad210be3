-- How many ECGs and patients of a time a model has scored, and how many of each reach the threshold of a target.
SELECT count(*) AS ecgs,
       count(*) FILTER (WHERE flagged) AS flagged_ecgs,
       count(DISTINCT patient_id) AS patients,
       count(DISTINCT patient_id) FILTER (WHERE flagged) AS flagged_patients
FROM (
    SELECT e.patient_id, p.probability >= :threshold AS flagged
    FROM ecgs AS e
    JOIN scores AS s USING (content_hash)
    JOIN LATERAL (VALUES
        ('stenosis_50', s.stenosis_50), ('stenosis_70', s.stenosis_70), ('stenosis_90', s.stenosis_90),
        ('stenosis_100', s.stenosis_100), ('rca_70', s.rca_70), ('lca_70', s.lca_70)
    ) AS p (target, probability) ON p.target = :target
    WHERE coalesce(e.acquired_at, e.first_read_at) >= :start AND coalesce(e.acquired_at, e.first_read_at) < :end
      AND s.model_version = :model_version AND s.preprocessing_version = :preprocessing_version
) AS scored
