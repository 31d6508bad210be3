-- A flag if the probability of the decisive target, the only one given, reached its threshold. One that a person has judged or withdrawn stays as it
-- is; one that stence withdrew comes back. Only the champion raises flags, not a model that was it when the run began:
-- hold_champion makes a change of champion wait for this batch, or this batch for the change.
WITH due AS (
    SELECT DISTINCT ON (s.content_hash, t.target)
           s.content_hash, CAST(:model_version AS text) AS model_version, t.target, e.patient_id, p.probability, t.threshold, t.rule
    FROM staged_results AS s
    JOIN ecgs AS e ON e.content_hash = s.content_hash
    CROSS JOIN LATERAL (VALUES
        ('stenosis_50', s.stenosis_50), ('stenosis_70', s.stenosis_70), ('stenosis_90', s.stenosis_90),
        ('stenosis_100', s.stenosis_100), ('rca_70', s.rca_70), ('lca_70', s.lca_70)
    ) AS p (target, probability)
    JOIN unnest(CAST(:targets AS text[]), CAST(:thresholds AS double precision[]), CAST(:rules AS text[]))
        AS t (target, threshold, rule) ON t.target = p.target
    WHERE s.reason IS NULL AND p.probability >= t.threshold
      AND (SELECT state FROM models WHERE version = :model_version) = 'champion'
      AND s.content_hash NOT IN (SELECT content_hash FROM conflicts)
    ORDER BY s.content_hash, t.target, s.object_id
), raised AS (
    INSERT INTO flags (content_hash, model_version, target, patient_id, probability, threshold, rule, state)
    SELECT content_hash, model_version, target, patient_id, probability, threshold, rule, 'open' FROM due
    ON CONFLICT (content_hash, model_version, target) DO NOTHING
)
SELECT reopen_flags(array_agg(f.id), array_agg(DISTINCT coalesce(f.withdrawn_for, f.state)), 'stence',
                    'its ECG was scored again')
FROM due JOIN flags AS f USING (content_hash, model_version, target)
WHERE f.state = 'withdrawn' AND f.withdrawn_for IS DISTINCT FROM 'by_person'
HAVING count(*) > 0
