-- Who is on the list? Patients to review, highest probability of the decisive target first.
--   limit            number of patients
--   since            only flags raised at or after this time: what is new
--   site             only ECGs of this site
--   include_known    yes: also patients whose disease a cath study has found, or answered after the ECG
--   include_snoozed  yes: also snoozed patients
\if :{?limit} \else \set limit 50 \endif
\if :{?since} \else \set since '' \endif
\if :{?site} \else \set site '' \endif
\if :{?include_known} \else \set include_known no \endif
\if :{?include_snoozed} \else \set include_snoozed no \endif
SELECT patient_id, probability,
       round(CAST(probability_lower AS numeric), 2) || ' to ' || round(CAST(probability_upper AS numeric), 2) AS interval,
       round(CAST(unexamined_probability AS numeric), 2) || ' (' || round(CAST(unexamined_lower AS numeric), 2) || ' to '
           || round(CAST(unexamined_upper AS numeric), 2) || ')' AS if_unexamined,
       expected_degree, change, ecgs, acquired_at, last_study_degree, last_review, off_list, nullif(unlike, false) AS unlike, ecg_id, flag_id, state
FROM flagged_patients_all
WHERE newest  -- all reasons below imply it; said beforehand, most rows are dropped before the rest is looked up
  AND (listed
       OR off_list IN ('known severe', 'answered') AND CAST(:'include_known' AS boolean)
       OR off_list = 'snoozed' AND CAST(:'include_snoozed' AS boolean))
  AND raised_at >= coalesce(CAST(nullif(:'since', '') AS timestamptz), '-infinity')
  AND (:'site' = '' OR site = :'site')
ORDER BY probability DESC, flag_id DESC
LIMIT CAST(:'limit' AS bigint);
