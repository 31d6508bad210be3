-- What a shadow and the champion say of the same ECGs, and the cath study that came after the shadow's score.
-- A study that was known when the shadow scored the ECG is no outcome: the model may have learned from it.
WITH both_scored AS (
    SELECT e.patient_id, e.acquired_at, e.content_hash, e.age, e.sex, new.stenosis_70 AS new, old.stenosis_70 AS old, new.scored_at
    FROM scores AS new
    JOIN models AS shadow ON shadow.version = new.model_version
                         AND shadow.preprocessing_version = new.preprocessing_version
    JOIN models AS champion ON champion.state = 'champion'
    JOIN scores AS old ON old.content_hash = new.content_hash AND old.model_version = champion.version
                      AND old.preprocessing_version = champion.preprocessing_version
    JOIN ecgs AS e ON e.content_hash = new.content_hash
    WHERE new.model_version = :version
    ORDER BY e.content_hash
    LIMIT :most
)
SELECT patient_id, age, sex, new, old,
       CASE WHEN study.study_id IS NOT NULL THEN ARRAY(
           SELECT coalesce(d.degree, 0)
           FROM generate_series(1, 16) AS s (segment)
           LEFT JOIN segment_stenoses AS d ON d.study_id = study.study_id AND d.segment = s.segment
           ORDER BY s.segment
       ) END AS degrees
FROM both_scored
LEFT JOIN LATERAL (
    SELECT c.study_id
    FROM cath_studies AS c
    WHERE c.patient_id = both_scored.patient_id AND c.performed_at >= both_scored.acquired_at
      AND c.first_seen_at > both_scored.scored_at
      AND NOT EXISTS (
          SELECT FROM cath_studies AS known
          WHERE known.patient_id = c.patient_id AND known.first_seen_at <= both_scored.scored_at
      )
    ORDER BY c.performed_at
    LIMIT 1
) AS study ON true
ORDER BY content_hash
