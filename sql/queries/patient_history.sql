-- What is known about a patient? Every ECG and model: risk and raised flags, newest ECG first.
--   patient  pseudonym of the patient, present or former (required)
--   limit    number of rows
\if :{?patient} \else \warn 'give a patient: psql -v patient=... -f patient_history.sql' \quit \endif
\if :{?limit} \else \set limit 50 \endif
SELECT risk.acquired_at, risk.ecg_id, risk.object_key, risk.model_version, risk.stenosis_50, risk.stenosis_70,
       risk.stenosis_90, risk.stenosis_100, risk.rca_70, risk.lca_70, raised.flags, risk.warnings, risk.scored_at,
       risk.stenosis_70_lower, risk.stenosis_70_upper, risk.novelty, risk.unlike
FROM ecg_risk AS risk
CROSS JOIN LATERAL (
    SELECT string_agg(flags.target || ' ' || flags.state, ', ' ORDER BY flags.target) AS flags
    FROM flags
    WHERE flags.content_hash = risk.content_hash AND flags.model_version = risk.model_version
) AS raised
WHERE risk.patient_id = coalesce((SELECT present_id FROM patient_aliases WHERE patient_id = :'patient'), :'patient')
ORDER BY risk.acquired_at DESC NULLS LAST, risk.object_key, risk.scored_at DESC
LIMIT CAST(:'limit' AS bigint);
