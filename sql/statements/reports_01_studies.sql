-- Take up the staged studies, new ones and those of which the reports now say something else; counts of both.
WITH taken AS (
    INSERT INTO cath_studies AS c (study_id, patient_id, performed_at, split, max_degree, intervention_at,
                                   report_key, fingerprint)
    SELECT study_id, patient_id, performed_at, split, max_degree, intervention_at, report_key, fingerprint
    FROM staged_studies ORDER BY study_id
    ON CONFLICT (study_id) DO UPDATE
        SET patient_id = EXCLUDED.patient_id, performed_at = EXCLUDED.performed_at, split = EXCLUDED.split,
            max_degree = EXCLUDED.max_degree, intervention_at = EXCLUDED.intervention_at,
            report_key = EXCLUDED.report_key, fingerprint = EXCLUDED.fingerprint, changed_at = now()
        WHERE c.fingerprint <> EXCLUDED.fingerprint
    RETURNING xmax = 0 AS is_new
)
SELECT count(*) FILTER (WHERE is_new) AS new, count(*) FILTER (WHERE NOT is_new) AS changed FROM taken
