-- Which patients without a flag were drawn for an examination? Newest draw first.
--   state    open (no cath report yet), examined, or empty for both
--   limit    number of patients
\if :{?state} \else \set state open \endif
\if :{?limit} \else \set limit 50 \endif
SELECT patient_id, ecg_id, acquired_at, drawn_at, model_version, chance, state, examined_at, max_degree
FROM verification_list
WHERE :'state' IN ('', state)
ORDER BY drawn_at DESC, ecg_id DESC
LIMIT CAST(:'limit' AS bigint);
