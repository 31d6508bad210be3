-- Where does a flag come from? File, ECG, score, model, run and threshold.
--   flag     the flag's number (required)
\if :{?flag} \else \warn 'give a flag: psql -v flag=... -f trace_flag.sql' \quit \endif
SELECT flags.id AS flag_id, risk.ecg_id, flags.state, flags.target, flags.probability, flags.threshold, flags.rule,
       flags.raised_at, flags.reviewed_by, flags.reviewed_at, flags.note, flags.patient_id,
       risk.object_key, objects.etag, encode(flags.content_hash, 'hex') AS content_hash,
       risk.acquired_at, risk.site, risk.indication, risk.device, risk.warnings,
       risk.preprocessing_version, risk.scored_at, models.version AS model_version, models.state AS model_state,
       models.folder AS model_folder, models.sha256 AS model_sha256, runs.run_id, runs.started_at AS run_started_at,
       runs.gate_version, runs.code_version, runs.host, runs.device AS run_device,
       risk.lower[target.place] AS probability_lower, risk.upper[target.place] AS probability_upper,
       risk.novelty, risk.unlike
FROM flags
CROSS JOIN LATERAL (
    SELECT array_position(
        ARRAY['stenosis_50', 'stenosis_70', 'stenosis_90', 'stenosis_100', 'rca_70', 'lca_70'], flags.target
    ) AS place
) AS target
JOIN models ON models.version = flags.model_version
LEFT JOIN ecg_risk AS risk ON risk.content_hash = flags.content_hash
                          AND risk.model_version = flags.model_version
                          AND risk.preprocessing_version = models.preprocessing_version
LEFT JOIN objects ON objects.key = risk.object_key
LEFT JOIN scoring_runs AS runs ON runs.run_id = risk.run_id
WHERE flags.id = CAST(:'flag' AS bigint);
