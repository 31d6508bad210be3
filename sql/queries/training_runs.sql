-- Which trainings ran, and with which outcome? Newest first.
--   limit    number of trainings
\if :{?limit} \else \set limit 20 \endif
SELECT started_at, state, stage, preset, new_pairs, seconds, model_version, outcome, model_state,
       auroc_stenosis_70, reasons, run_id, error
FROM training_history
ORDER BY started_at DESC, run_id
LIMIT CAST(:'limit' AS bigint);
