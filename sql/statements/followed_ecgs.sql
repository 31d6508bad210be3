-- ECGs of a time that a model scored in time, and the cath study of the patient that came next, if one did.
-- No ECG whose patient had a study before it, or whose patient's report was known when it was scored: the model
-- may have learned from it. Scored in time: within days of being read. Of what is scored long after, those whose
-- report had come meanwhile would be missing, so that the rest is healthier than all. A flag that a promotion
-- raises long after sent nobody.
WITH scored AS (
    SELECT e.patient_id, e.acquired_at, e.sex, e.age, e.device, e.site, e.indication, s.stenosis_50,
           s.stenosis_70, s.stenosis_90, s.stenosis_100, s.rca_70, s.lca_70,
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
), followed AS (
    SELECT scored.*, study.study_id,
           study.performed_at <= max(acquired_at) OVER (PARTITION BY patient_id)
                                 + make_interval(days => :days) AS in_time
    FROM scored
    LEFT JOIN LATERAL (
        SELECT c.study_id, c.performed_at
        FROM cath_studies AS c
        WHERE c.patient_id = scored.patient_id AND c.performed_at >= scored.acquired_at
        ORDER BY c.performed_at
        LIMIT 1
    ) AS study ON true
)
SELECT patient_id, acquired_at, stenosis_50, stenosis_70, stenosis_90, stenosis_100, rca_70, lca_70, flagged, sex, age,
       device, site, indication,
       CASE WHEN in_time THEN ARRAY(
           SELECT coalesce(d.degree, 0)
           FROM generate_series(1, 16) AS s (segment)
           LEFT JOIN segment_stenoses AS d ON d.study_id = followed.study_id AND d.segment = s.segment
           ORDER BY s.segment
       ) END AS degrees
FROM followed
ORDER BY patient_id, acquired_at
