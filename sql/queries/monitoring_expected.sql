-- How does expected performance on the newest ECGs compare with performance by outcomes?
SELECT expected.target, expected.figure, expected.day, expected.expected, expected.expected_lower,
       expected.expected_upper, expected.ecgs, seen.weighted, seen.weighted_lower, seen.weighted_upper,
       seen.day AS outcomes_until
FROM expected_figures AS expected
LEFT JOIN outcome_figures AS seen
       ON seen.model_version = expected.model_version AND seen.target = expected.target
      AND seen.figure = expected.figure AND seen.dimension IS NULL
      AND seen.day = (SELECT max(day) FROM outcome_figures WHERE model_version = (SELECT version FROM model_versions WHERE state = 'champion'))
WHERE expected.dimension IS NULL
  AND expected.model_version = (SELECT version FROM model_versions WHERE state = 'champion')
  AND expected.day = (SELECT max(day) FROM expected_figures WHERE model_version = (SELECT version FROM model_versions WHERE state = 'champion'))
ORDER BY array_position(ARRAY['stenosis_50', 'stenosis_70', 'stenosis_90', 'stenosis_100', 'rca_70', 'lca_70'], expected.target),
         expected.figure;
