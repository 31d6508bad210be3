-- Why are flagged patients not on the list? By model: flagged = listed + newer ECG + known severe + answered + snoozed.
SELECT list_counts.model_version, model_versions.state, flagged, listed, newer_ecg, known_severe, answered, snoozed
FROM list_counts
JOIN model_versions ON model_versions.version = list_counts.model_version
ORDER BY model_versions.registered_at DESC, list_counts.model_version;
