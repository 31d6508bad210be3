-- Who is to be seen on the ward round? Patients to review with the page of their ECG, highest probability first.
--   site     only ECGs of this site
--   limit    number of patients
\if :{?site} \else \set site '' \endif
\if :{?limit} \else \set limit 200 \endif
SELECT patient_id, probability, probability_lower, probability_upper, unlike, unexamined_probability, unexamined_lower, unexamined_upper, change, ecgs, site, sex, age,
       acquired_at, last_study_at, last_study_degree, last_review, warnings, state, ecg_id, page_key,
       count(*) OVER () AS patients
FROM flagged_patients
WHERE :'site' = '' OR site = :'site'
ORDER BY probability DESC, flag_id DESC
LIMIT CAST(:'limit' AS bigint);
