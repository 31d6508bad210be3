-- Take up the staged studies, new ones and those of which the reports now say something else; counts of both.
WITH taken AS (
    INSERT INTO cath_studies AS c (study_id, patient_id, performed_at, split, max_degree, intervention_at,
                                   report_key, fingerprint)
    SELECT study_id, patient_id, performed_at, split, max_degree, intervention_at, report_key, fingerprint
    FROM staged_studies ORDER BY study_id
    ON CONFLICT (study_id) DO UPDATE
        SET patient_id = EXCLUDED.patient_id, performed_at = EXCLUDED.performed_at, split = EXCLUDED.split,
            max_degree = EXCLUDED.max_degree, intervention_at = EXCLUDED.intervention_at,
            report_key = EXCLUDED.report_key, fingerprint = EXCLUDED.fingerprint,
            -- An empty fingerprint is of an earlier release: such a study is new to a training only where it changed.
            changed_at = CASE
                WHEN c.fingerprint = ''
                     AND (c.patient_id, c.performed_at, c.split, c.max_degree, c.intervention_at)
                         IS NOT DISTINCT FROM (EXCLUDED.patient_id, EXCLUDED.performed_at, EXCLUDED.split,
                                               EXCLUDED.max_degree, EXCLUDED.intervention_at)
                THEN c.changed_at ELSE now() END
        WHERE c.fingerprint <> EXCLUDED.fingerprint
    RETURNING xmax = 0 AS is_new
)
SELECT count(*) FILTER (WHERE is_new) AS new, count(*) FILTER (WHERE NOT is_new) AS changed FROM taken
