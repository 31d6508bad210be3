-- How do the scores compare with later cath reports? Of referred, of all scored, and of patients whose referral was open.
SELECT target, figure, naive, naive_lower, naive_upper, naive_withheld, weighted, weighted_lower, weighted_upper,
       weighted_effective, weighted_top, weighted_withheld, overlap, overlap_lower, overlap_upper, overlap_effective,
       overlap_top, overlap_withheld, clipped_share, smallest_propensity, censored, ecgs, window_start, window_end
FROM outcome_figures
WHERE dimension IS NULL
  AND model_version = (SELECT version FROM model_versions WHERE state = 'champion')
  AND day = (SELECT max(day) FROM outcome_figures WHERE model_version = (SELECT version FROM model_versions WHERE state = 'champion'))
ORDER BY array_position(ARRAY['stenosis_50', 'stenosis_70', 'stenosis_90', 'stenosis_100', 'rca_70', 'lca_70'], target),
         array_position(ARRAY['auroc', 'auprc', 'ppv', 'sensitivity', 'ece'], figure), figure;
