-- Who is flagged? Patients with a flag that is open or confirmed, highest risk first.
--   limit    number of patients
--   target   only patients flagged for this target, e.g. stenosis_70
--   since    only where the leading flag was raised at or after this time
\if :{?limit} \else \set limit 50 \endif
\if :{?target} \else \set target '' \endif
\if :{?since} \else \set since '' \endif
SELECT patient_id, target, probability, threshold, targets, acquired_at,
       model_version, ecg_id, flag_id, state
FROM flagged_patients
WHERE (:'target' = '' OR :'target' = ANY (targets))
  AND raised_at >= coalesce(CAST(nullif(:'since', '') AS timestamptz), '-infinity')
ORDER BY probability DESC, flag_id DESC
LIMIT CAST(:'limit' AS bigint);
