-- Who is to be seen on the ward round? Patients to review with the page of their ECG, highest probability first.
--   site     only ECGs of this site
--   limit    number of patients
\if :{?site} \else \set site '' \endif
\if :{?limit} \else \set limit 200 \endif
-- One patient more than the limit is looked up: counting a long list would take longer than reading its first page.
SELECT patient_id, probability, probability_lower, probability_upper, unlike, unexamined_probability, unexamined_lower, unexamined_upper, change, ecgs, site, sex, age,
       acquired_at, last_study_at, last_study_degree, last_review, warnings, state, ecg_id, page_key,
       count(*) OVER () > CAST(:'limit' AS bigint) AS more
FROM (
    SELECT *
    FROM flagged_patients
    WHERE :'site' = '' OR site = :'site'
    ORDER BY probability DESC, flag_id DESC
    LIMIT CAST(:'limit' AS bigint) + 1
) AS first
ORDER BY probability DESC, flag_id DESC
LIMIT CAST(:'limit' AS bigint);
