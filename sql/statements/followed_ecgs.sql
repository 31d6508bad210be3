-- ECGs of a time that a model scored in time, and the cath study of the patient that came next, if one did.
-- No ECG whose patient had a study before it, or whose patient's report was known when it was scored: the model
-- may have learned from it. Scored in time: within days of being read. Of what is scored long after, those whose
-- report had come meanwhile would be missing, so that the rest is healthier than all. A flag that a promotion
-- raises long after sent nobody.
-- late: a study came after the days, so that the patient was sent and the outcome is censored. complete: the
-- reports reach to the end of the patient's days, so that nobody counts as not sent whose report may yet come.
-- drawn, chance: the verification sample of the patient's month; the month's first ECG that could be drawn has it.
WITH scored AS (
    SELECT e.content_hash, e.patient_id, e.acquired_at, e.sex, e.age, e.device, e.site, e.indication,
           s.stenosis_50, s.stenosis_70, s.stenosis_90, s.stenosis_100, s.rca_70, s.lca_70,
           to_char(e.acquired_at AT TIME ZONE 'UTC', 'YYYY-MM') AS month,
           EXISTS (
               SELECT FROM flags AS f
               WHERE f.content_hash = e.content_hash AND f.raised_at <= e.first_read_at + interval '7 days'
           ) AS flagged
    FROM ecgs AS e
    JOIN scores AS s USING (content_hash)
    WHERE coalesce(e.acquired_at, e.first_read_at) >= :start
      AND coalesce(e.acquired_at, e.first_read_at) < :end AND e.acquired_at IS NOT NULL
      AND s.model_version = :model_version AND s.preprocessing_version = :preprocessing_version
      AND s.scored_at <= e.first_read_at + interval '7 days'
      AND NOT EXISTS (
          SELECT FROM cath_studies AS known
          WHERE known.patient_id = e.patient_id
            AND (known.performed_at < e.acquired_at OR known.first_seen_at <= s.scored_at)
      )
), eligible AS (
    SELECT DISTINCT ON (scored.patient_id, scored.month) scored.content_hash, draw.share
    FROM verification_draws AS draw
    JOIN scores AS seen ON seen.model_version = draw.model_version
                       AND seen.scored_at >= draw.scored_from AND seen.scored_at < draw.scored_until
    JOIN scored USING (content_hash)
    WHERE NOT EXISTS (
        SELECT FROM flags AS f WHERE f.patient_id = scored.patient_id AND f.raised_at <= draw.scored_until
    )
    ORDER BY scored.patient_id, scored.month, scored.acquired_at, draw.id
), followed AS (
    SELECT scored.*, study.study_id,
           max(acquired_at) OVER (PARTITION BY patient_id) + make_interval(days => :days) AS until,
           study.performed_at, coalesce(eligible.share, 0) AS chance,
           EXISTS (
               SELECT FROM verification_sample AS v
               JOIN ecgs AS d USING (content_hash)
               WHERE d.patient_id = scored.patient_id AND v.month = scored.month
           ) AS drawn
    FROM scored
    LEFT JOIN eligible USING (content_hash)
    LEFT JOIN LATERAL (
        SELECT c.study_id, c.performed_at
        FROM cath_studies AS c
        WHERE c.patient_id = scored.patient_id AND c.performed_at >= scored.acquired_at
        ORDER BY c.performed_at
        LIMIT 1
    ) AS study ON true
)
SELECT patient_id, acquired_at, stenosis_50, stenosis_70, stenosis_90, stenosis_100, rca_70, lca_70, flagged, sex, age,
       device, site, indication, drawn, chance,
       coalesce(performed_at > until, false) AS late,
       coalesce(until <= (SELECT max(performed_at) FROM cath_studies), false) AS complete,
       CASE WHEN performed_at <= until THEN ARRAY(
           SELECT coalesce(d.degree, 0)
           FROM generate_series(1, 16) AS s (segment)
           LEFT JOIN segment_stenoses AS d ON d.study_id = followed.study_id AND d.segment = s.segment
           ORDER BY s.segment
       ) END AS degrees
FROM followed
ORDER BY patient_id, acquired_at
