-- Which models exist? Newest first: state, quality, and the last decision about each.
SELECT version, state, registered_at, champion_since, shadow_since, auroc_stenosis_70,
       gate_result, promoted_ungated, changed_by, changed_at, reason
FROM model_versions
ORDER BY registered_at DESC, version;
