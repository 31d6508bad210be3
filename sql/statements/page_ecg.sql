-- A scored ECG by its number, with its score by a model, the model, and its flag for the target if there is one.
SELECT ecgs.id AS ecg_id, ecgs.content_hash, ecgs.patient_id, coalesce(ecgs.acquired_at, ecgs.first_read_at) AS at,
       ecgs.acquired_at, ecgs.site, ecgs.device, ecgs.sex, ecgs.age, ecgs.indication, ecgs.warnings, ecgs.statements,
       ecgs.measurements, ecgs.filters, ecgs.fingerprint, objects.key,
       decisive.probability, scores.lower[decisive.place] AS lower,
       scores.upper[decisive.place] AS upper, scores.novelty, scores.unlike, scores.run_id, scores.scored_at,
       models.version AS model_version, models.sha256, models.manifest,
       flags.id AS flag_id, flags.state, flags.threshold, flags.raised_at
FROM ecgs
JOIN LATERAL (
    SELECT key FROM objects
    WHERE objects.content_hash = ecgs.content_hash AND objects.kind = 'ecg'
    ORDER BY objects.id <> ecgs.object_id, objects.id
    LIMIT 1
) AS objects ON true
JOIN models ON models.version = :model_version
JOIN scores ON scores.content_hash = ecgs.content_hash AND scores.model_version = models.version
           AND scores.preprocessing_version = models.preprocessing_version
JOIN LATERAL (VALUES ('stenosis_50', scores.stenosis_50, 1), ('stenosis_70', scores.stenosis_70, 2),
                     ('stenosis_90', scores.stenosis_90, 3), ('stenosis_100', scores.stenosis_100, 4))
    AS decisive (target, probability, place) ON decisive.target = :target
LEFT JOIN flags ON flags.content_hash = ecgs.content_hash AND flags.model_version = models.version
               AND flags.target = :target
WHERE ecgs.id = :ecg_id
