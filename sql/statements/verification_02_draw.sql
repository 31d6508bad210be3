-- Draw the patients without a flag among those whose ECG was scored in a time. A patient is drawn by a hash of the
-- stored seed, the patient's number and the month of the ECG, once a month; the first such ECG stands for the patient.
-- Patients with a cath study before the ECG, or whose report was known, are left out: no figure is made of them.
WITH eligible AS (
    SELECT DISTINCT ON (e.patient_id, month.name) e.content_hash, month.name AS month,
           CAST(CAST('x' || left(encode(sha256(convert_to(seed.value || '|' || e.patient_id || '|' || month.name, 'UTF8')), 'hex'), 12) AS bit(48)) AS bigint)
               / CAST(2 ^ 48 AS double precision) AS place
    FROM ecgs AS e
    JOIN scores AS s USING (content_hash)
    JOIN installation AS seed ON seed.name = 'verification_seed'
    CROSS JOIN LATERAL (SELECT to_char(e.acquired_at AT TIME ZONE 'UTC', 'YYYY-MM') AS name) AS month
    WHERE s.model_version = :model_version AND s.scored_at >= :scored_from AND s.scored_at < :scored_until
      AND s.scored_at <= e.first_read_at + interval '7 days' AND e.acquired_at IS NOT NULL
      AND NOT EXISTS (
          SELECT FROM flags AS f WHERE f.patient_id = e.patient_id AND f.raised_at <= :scored_until
      )
      AND NOT EXISTS (
          SELECT FROM cath_studies AS known
          WHERE known.patient_id = e.patient_id
            AND (known.performed_at < e.acquired_at OR known.first_seen_at <= s.scored_at)
      )
    ORDER BY e.patient_id, month.name, e.acquired_at, e.id
), chosen AS (
    SELECT eligible.content_hash, eligible.month
    FROM eligible
    JOIN ecgs AS e USING (content_hash)
    WHERE eligible.place < :share
      AND NOT EXISTS (
          SELECT FROM verification_sample AS v
          JOIN ecgs AS earlier USING (content_hash)
          WHERE earlier.patient_id = e.patient_id AND v.month = eligible.month
      )
), draw AS (
    INSERT INTO verification_draws (model_version, share, scored_from, scored_until, eligible, drawn)
    VALUES (:model_version, :share, :scored_from, :scored_until, (SELECT count(*) FROM eligible), (SELECT count(*) FROM chosen))
    RETURNING id
)
INSERT INTO verification_sample (content_hash, draw_id, month, chance)
SELECT chosen.content_hash, draw.id, chosen.month, :share
FROM chosen
CROSS JOIN draw
