-- Which models exist, and in which state?
SELECT version, state, trained_at, changed_at, changed_by, reason, auroc_stenosis_70, gate_passed
FROM model_versions
ORDER BY registered_at DESC, version;
