-- Which models are there, and how do they stand?
SELECT version, state, trained_at, changed_at, changed_by, reason, auroc_stenosis_70, gate_passed
FROM model_versions
ORDER BY registered_at DESC, version;
