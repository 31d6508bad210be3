-- How do the scores compare with later cath reports? Naive and weighted metrics of the newest window.
SELECT target, figure, naive, naive_lower, naive_upper, weighted, weighted_lower, weighted_upper, ecgs,
       window_start, window_end
FROM outcome_figures
WHERE dimension IS NULL
  AND model_version = (SELECT version FROM model_versions WHERE state = 'champion')
  AND day = (SELECT max(day) FROM outcome_figures WHERE model_version = (SELECT version FROM model_versions WHERE state = 'champion'))
ORDER BY array_position(ARRAY['stenosis_50', 'stenosis_70', 'stenosis_90', 'stenosis_100', 'rca_70', 'lca_70'], target),
         array_position(ARRAY['auroc', 'auprc', 'ppv', 'sensitivity', 'ece'], figure), figure;
