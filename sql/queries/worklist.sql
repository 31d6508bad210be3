-- Is every ECG accounted for? By model: indexed = scored + quarantined + pending.
SELECT worklist_counts.model_version, model_versions.state, indexed, scored, quarantined, pending
FROM worklist_counts
JOIN model_versions ON model_versions.version = worklist_counts.model_version
ORDER BY model_versions.registered_at DESC, worklist_counts.model_version;
