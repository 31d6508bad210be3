-- Who is to be seen on the ward round? Patients to review with the page of their ECG, highest probability first.
--   site     only ECGs of this site
--   limit    number of patients
\if :{?site} \else \set site '' \endif
\if :{?limit} \else \set limit 200 \endif
SELECT listed.patient_id, listed.probability, listed.threshold, ecgs.site, ecgs.sex, ecgs.age, listed.acquired_at,
       listed.warnings, listed.state, listed.ecg_id, pages.object_key AS page_key,
       count(*) OVER () AS patients
FROM flagged_patients AS listed
JOIN ecgs ON ecgs.id = listed.ecg_id
LEFT JOIN ecg_pages AS pages ON pages.content_hash = ecgs.content_hash AND pages.model_version = listed.model_version
WHERE (:'site' = '' OR ecgs.site = :'site')
ORDER BY listed.probability DESC, listed.flag_id DESC
LIMIT CAST(:'limit' AS bigint);
