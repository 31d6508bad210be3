-- Is performance equal in all groups? Outcomes by sex, age, device and site, newest window.
--   target   the predicted target
\if :{?target} \else \set target stenosis_70 \endif
SELECT coalesce(dimension, 'all') AS dimension, coalesce(member, 'all') AS member, scored, with_outcome,
       effective_sample_size, clipped_share, withheld, auroc_naive, auroc_naive_lower, auroc_naive_upper,
       auroc_weighted, auroc_weighted_lower, auroc_weighted_upper, ppv_weighted, ppv_weighted_lower, ppv_weighted_upper, sensitivity_weighted,
       sensitivity_weighted_lower, sensitivity_weighted_upper, ece_weighted, ece_weighted_lower, ece_weighted_upper
FROM subgroup_figures
WHERE target = :'target'
  AND model_version = (SELECT version FROM model_versions WHERE state = 'champion')
ORDER BY array_position(ARRAY['all', 'sex', 'age_band', 'device', 'site'], coalesce(subgroup_figures.dimension, 'all')),
         subgroup_figures.member;
