-- Which verdicts did reviewers give on the flags?
SELECT model_version, target, flags, open, confirmed, dismissed, withdrawn, confirmed_share, median_days
FROM reviews_summary
ORDER BY model_version DESC, array_position(ARRAY['stenosis_50', 'stenosis_70', 'stenosis_90', 'stenosis_100', 'rca_70', 'lca_70'], target);
