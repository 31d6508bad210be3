-- One row per patient with a flag that is open or confirmed: the newest flagged ECG, and why the patient is off the list.
-- Without DISTINCT or GROUP BY, a query with ORDER BY probability DESC, flag_id DESC LIMIT n reads a few times n rows.
-- "listed" says in booleans what off_list says in words, since the planner takes IS NULL of a CASE for rare. Names no file, so that readers of
-- pseudonyms may ask it.
CREATE VIEW flagged_patients_all WITH (security_invoker = true) AS
SELECT flags.patient_id,
       flags.probability,
       scores.lower[place.of_target] AS probability_lower,
       scores.upper[place.of_target] AS probability_upper,
       flags.threshold,
       unexamined.probability AS unexamined_probability,
       unexamined.lower AS unexamined_lower,
       unexamined.upper AS unexamined_upper,
       score.expected_degree,
       NOT newer.found AND NOT known.severe AND NOT coalesce(study.performed_at >= newer.than, false)
           AND NOT coalesce(snooze.until >= current_date, false) AS listed,
       NOT newer.found AS newest,
       CASE WHEN newer.found THEN 'newer ECG'
            WHEN known.severe THEN 'known severe'
            WHEN study.performed_at >= newer.than THEN 'answered'
            WHEN snooze.until >= current_date THEN 'snoozed'
       END AS off_list,
       ecgs.acquired_at,
       history.ecgs,
       history.previous_probability,
       flags.probability - history.previous_probability AS change,
       study.performed_at AS last_study_at,
       study.max_degree AS last_study_degree,
       current_date - CAST(study.performed_at AS date) AS days_since_study,
       known.worst_degree,
       known.intervention_at,
       review.outcome AS last_review,
       review.reviewed_at AS last_reviewed_at,
       snooze.until AS snoozed_until,
       scores.novelty,
       scores.unlike,
       score.stenosis_50,
       score.stenosis_70,
       score.stenosis_90,
       score.stenosis_100,
       score.rca_70,
       score.lca_70,
       ecgs.site,
       ecgs.sex,
       ecgs.age,
       ecgs.device,
       ecgs.warnings,
       ecgs.statements,
       ecgs.measurements,
       flags.target,
       flags.rule,
       flags.model_version,
       scores.run_id,
       ecgs.id AS ecg_id,
       flags.id AS flag_id,
       ARRAY(SELECT f.id
             FROM flags AS f
             WHERE f.patient_id = flags.patient_id AND f.state IN ('open', 'confirmed')
             ORDER BY f.id) AS flag_ids,
       flags.state,
       flags.raised_at,
       (SELECT max(e.sent_at)
        FROM flag_exports AS e
        WHERE e.flag_id = flags.id AND e.status <> 'entered-in-error') AS exported_at
FROM flags
JOIN ecgs ON ecgs.content_hash = flags.content_hash
JOIN models ON models.version = flags.model_version
LEFT JOIN scores ON scores.content_hash = flags.content_hash
                AND scores.model_version = flags.model_version
                AND scores.preprocessing_version = models.preprocessing_version
CROSS JOIN LATERAL (
    SELECT array_position(ARRAY['stenosis_50', 'stenosis_70', 'stenosis_90', 'stenosis_100', 'rca_70', 'lca_70'], flags.target)
) AS place (of_target)
LEFT JOIN valid_scores AS score ON score.content_hash = flags.content_hash
                               AND score.model_version = flags.model_version
CROSS JOIN LATERAL (
    SELECT coalesce(ecgs.acquired_at, ecgs.first_read_at) AS than,
           EXISTS (SELECT
                   FROM valid_scores AS v
                   WHERE v.patient_id = flags.patient_id AND v.model_version = flags.model_version
                     AND (v.ecg_at, v.ecg_id) > (coalesce(ecgs.acquired_at, ecgs.first_read_at), ecgs.id)) AS found
) AS newer
LEFT JOIN LATERAL (
    SELECT count(*) AS ecgs,
           (array_agg(v.probability ORDER BY v.ecg_at DESC, v.ecg_id DESC)
               FILTER (WHERE (v.ecg_at, v.ecg_id) < (coalesce(ecgs.acquired_at, ecgs.first_read_at), ecgs.id)))[1]
               AS previous_probability
    FROM valid_scores AS v
    WHERE v.patient_id = flags.patient_id AND v.model_version = flags.model_version
) AS history ON true
LEFT JOIN LATERAL (
    SELECT c.performed_at, c.max_degree
    FROM cath_studies AS c
    WHERE c.patient_id = flags.patient_id
    ORDER BY c.performed_at DESC, c.study_id DESC
    LIMIT 1
) AS study ON true
LEFT JOIN LATERAL (
    SELECT max(c.max_degree) AS worst_degree,
           max(c.intervention_at) AS intervention_at,
           coalesce(bool_or(c.max_degree >= 70), false) AS severe
    FROM cath_studies AS c
    WHERE c.patient_id = flags.patient_id
) AS known ON true
LEFT JOIN LATERAL (
    -- Among the patients whom nobody referred, each severity counts by the share of its patients who were not. The ends
    -- of the interval take the ends of these shares against the patient, and for the patient.
    SELECT sum(p * never) FILTER (WHERE severe) / nullif(sum(p * never), 0) AS probability,
           sum(p * never_low) FILTER (WHERE severe)
               / nullif(sum(p * CASE WHEN severe THEN never_low ELSE never_high END), 0) AS lower,
           sum(p * never_high) FILTER (WHERE severe)
               / nullif(sum(p * CASE WHEN severe THEN never_high ELSE never_low END), 0) AS upper
    FROM (
        SELECT severity.p,
               severity.number >= least_severe.number AS severe,
               CAST(held.share ->> 'value' AS double precision) AS never,
               CAST(held.share ->> 'lower' AS double precision) AS never_low,
               CAST(held.share ->> 'upper' AS double precision) AS never_high
        FROM (VALUES ('stenosis_50', 1), ('stenosis_70', 2), ('stenosis_90', 3), ('stenosis_100', 4))
                 AS least_severe (target, number)
        CROSS JOIN (VALUES (0, 1 - score.stenosis_50),
                           (1, score.stenosis_50 - score.stenosis_70),
                           (2, score.stenosis_70 - score.stenosis_90),
                           (3, score.stenosis_90 - score.stenosis_100),
                           (4, score.stenosis_100)) AS severity (number, p)
        JOIN jsonb_array_elements(models.manifest #> '{metrics,screened,never_referred}')
                 WITH ORDINALITY AS held (share, place) ON held.place = severity.number + 1
        WHERE least_severe.target = flags.target AND study.performed_at IS NULL
    ) AS severities
) AS unexamined ON true
LEFT JOIN LATERAL (
    SELECT r.outcome, r.reviewed_at
    FROM reviews AS r
    JOIN ecgs AS reviewed ON reviewed.id = r.ecg_id
    WHERE reviewed.patient_id = flags.patient_id
    ORDER BY r.id DESC
    LIMIT 1
) AS review ON true
LEFT JOIN LATERAL (
    SELECT z.until
    FROM snoozes AS z
    JOIN ecgs AS named ON named.id = z.ecg_id
    WHERE named.patient_id = flags.patient_id
    ORDER BY z.id DESC
    LIMIT 1
) AS snooze ON true
WHERE flags.state IN ('open', 'confirmed')
  AND flags.target = coalesce((SELECT manifest ->> 'decisive' FROM models WHERE state = 'champion'), 'stenosis_70')
  AND NOT EXISTS (SELECT
                  FROM flags AS other
                  JOIN ecgs AS e ON e.content_hash = other.content_hash
                  WHERE other.patient_id = flags.patient_id
                    AND other.target = flags.target AND other.state IN ('open', 'confirmed')
                    AND (coalesce(e.acquired_at, e.first_read_at), e.id, other.id)
                        > (coalesce(ecgs.acquired_at, ecgs.first_read_at), ecgs.id, flags.id));

COMMENT ON VIEW flagged_patients_all IS
    'Patients with a flag that is open or confirmed, by their newest flagged ECG; off_list says why some are not on the list.';
COMMENT ON COLUMN flagged_patients_all.patient_id IS 'Pseudonym of the patient.';
COMMENT ON COLUMN flagged_patients_all.probability IS 'Calibrated probability of the target by the newest flagged ECG, among everybody with an ECG.';
COMMENT ON COLUMN flagged_patients_all.probability_lower IS
    'Lower end of its 95 % interval; empty if the model cannot tell.';
COMMENT ON COLUMN flagged_patients_all.probability_upper IS 'Upper end of its 95 % interval.';
COMMENT ON COLUMN flagged_patients_all.threshold IS 'Threshold that it reached.';
COMMENT ON COLUMN flagged_patients_all.unexamined_probability IS
    'The same for patients whom nobody referred to a cath study, where that can be estimated; empty if the patient had one.';
COMMENT ON COLUMN flagged_patients_all.unexamined_lower IS 'Lower end of its 95 % interval, by what is known of referral.';
COMMENT ON COLUMN flagged_patients_all.unexamined_upper IS 'Upper end of its 95 % interval.';
COMMENT ON COLUMN flagged_patients_all.expected_degree IS 'Worst narrowing to expect, percent; see valid_scores.';
COMMENT ON COLUMN flagged_patients_all.listed IS 'True: on the list.';
COMMENT ON COLUMN flagged_patients_all.newest IS 'True: the patient has no newer ECG that the model scored.';
COMMENT ON COLUMN flagged_patients_all.off_list IS
    'Empty: on the list. newer ECG: a newer one has no flag; known severe: a cath study found >= 70 %; answered: a cath study after the ECG found less; snoozed: by a person.';
COMMENT ON COLUMN flagged_patients_all.acquired_at IS 'Time of the recording.';
COMMENT ON COLUMN flagged_patients_all.ecgs IS 'ECGs of the patient with a valid score of the model.';
COMMENT ON COLUMN flagged_patients_all.previous_probability IS 'Probability by the ECG before; empty without one.';
COMMENT ON COLUMN flagged_patients_all.change IS 'Probability minus that by the ECG before.';
COMMENT ON COLUMN flagged_patients_all.last_study_at IS 'Time of the patient''s last cath study; empty without one.';
COMMENT ON COLUMN flagged_patients_all.last_study_degree IS 'Worst narrowing in the last cath study, percent.';
COMMENT ON COLUMN flagged_patients_all.days_since_study IS 'Days since the last cath study.';
COMMENT ON COLUMN flagged_patients_all.worst_degree IS 'Worst narrowing in any cath study of the patient, percent.';
COMMENT ON COLUMN flagged_patients_all.intervention_at IS 'Last intervention that a cath report tells of.';
COMMENT ON COLUMN flagged_patients_all.last_review IS 'Outcome of the last review of any ECG of the patient.';
COMMENT ON COLUMN flagged_patients_all.last_reviewed_at IS 'Time of this review.';
COMMENT ON COLUMN flagged_patients_all.snoozed_until IS 'Last day of the newest snooze, past or to come.';
COMMENT ON COLUMN flagged_patients_all.novelty IS 'Percentage of held-out ECGs that resemble the training ECGs more.';
COMMENT ON COLUMN flagged_patients_all.unlike IS 'True: the ECG is unlike the training ECGs, its score less certain.';
COMMENT ON COLUMN flagged_patients_all.stenosis_50 IS 'Calibrated probability of a stenosis of at least 50 %.';
COMMENT ON COLUMN flagged_patients_all.stenosis_70 IS 'Calibrated probability of a stenosis of at least 70 %.';
COMMENT ON COLUMN flagged_patients_all.stenosis_90 IS 'Calibrated probability of a stenosis of at least 90 %.';
COMMENT ON COLUMN flagged_patients_all.stenosis_100 IS 'Calibrated probability of an occlusion.';
COMMENT ON COLUMN flagged_patients_all.rca_70 IS 'Calibrated probability of a stenosis of at least 70 % in the right coronary artery.';
COMMENT ON COLUMN flagged_patients_all.lca_70 IS 'Calibrated probability of a stenosis of at least 70 % in the left coronary artery.';
COMMENT ON COLUMN flagged_patients_all.site IS 'Site of the recording.';
COMMENT ON COLUMN flagged_patients_all.sex IS 'F or M, where the file says so.';
COMMENT ON COLUMN flagged_patients_all.age IS 'Years, where the file says so.';
COMMENT ON COLUMN flagged_patients_all.device IS 'Electrocardiograph of the ECG.';
COMMENT ON COLUMN flagged_patients_all.warnings IS 'Remarks on the ECG''s quality.';
COMMENT ON COLUMN flagged_patients_all.statements IS 'Statements of the electrocardiograph; nobody has confirmed them.';
COMMENT ON COLUMN flagged_patients_all.measurements IS 'Measurements of the electrocardiograph: heart_rate in 1/min, durations in ms, axes in degrees.';
COMMENT ON COLUMN flagged_patients_all.target IS 'Decisive target, for which the flag was raised.';
COMMENT ON COLUMN flagged_patients_all.rule IS 'Method by which the threshold was chosen.';
COMMENT ON COLUMN flagged_patients_all.model_version IS 'Model that raised the flag.';
COMMENT ON COLUMN flagged_patients_all.run_id IS 'Run that scored the ECG.';
COMMENT ON COLUMN flagged_patients_all.ecg_id IS 'Number of the ECG, for stence review and stence snooze.';
COMMENT ON COLUMN flagged_patients_all.flag_id IS 'Number of the flag.';
COMMENT ON COLUMN flagged_patients_all.flag_ids IS 'Numbers of all the patient''s open and confirmed flags.';
COMMENT ON COLUMN flagged_patients_all.state IS 'State of the flag: open or confirmed.';
COMMENT ON COLUMN flagged_patients_all.raised_at IS 'Time at which the flag was raised.';
COMMENT ON COLUMN flagged_patients_all.exported_at IS 'Time at which another system confirmed it; empty: not sent.';
