-- A model has become champion: raise the flags of its decisive target that its scores have been holding back, those of its
-- time in shadow and those of a run that it retired from. Scores of ECGs that no file holds any more (it was replaced) stay without.
INSERT INTO flags (content_hash, model_version, target, patient_id, probability, threshold, rule, state)
SELECT s.content_hash, s.model_version, p.target, e.patient_id, p.probability, t.value, t.rule, 'open'
FROM scores AS s
JOIN ecgs AS e USING (content_hash)
JOIN models AS m ON m.version = s.model_version AND m.preprocessing_version = s.preprocessing_version
CROSS JOIN LATERAL (VALUES
    ('stenosis_50', s.stenosis_50), ('stenosis_70', s.stenosis_70), ('stenosis_90', s.stenosis_90),
    ('stenosis_100', s.stenosis_100), ('rca_70', s.rca_70), ('lca_70', s.lca_70)
) AS p (target, probability)
CROSS JOIN LATERAL jsonb_to_record(m.manifest -> 'thresholds' -> p.target)
    AS t (value double precision, rule text)
WHERE s.model_version = :model_version AND p.target = coalesce(m.manifest ->> 'decisive', 'stenosis_70')
  AND p.probability >= t.value
  AND EXISTS (SELECT FROM objects AS o JOIN worklist AS w ON w.object_id = o.id
              WHERE o.content_hash = s.content_hash AND w.model_version = s.model_version AND w.state = 'scored')
ON CONFLICT (content_hash, model_version, target) DO NOTHING
