-- The same ECG in an export of another format: of the same patient and second, with a signal that differs by no more than
-- a quantisation step. It takes the place of the ECG that is known already, or of the first in the batch.
WITH staged AS (
    SELECT s.object_id, s.content_hash, s.fingerprint, coalesce(a.present_id, s.patient_id) AS patient_id,
           date_trunc('second', s.acquired_at) AS second
    FROM staged_results AS s
    LEFT JOIN patient_aliases AS a ON a.patient_id = s.patient_id
    WHERE s.reason IS NULL AND s.acquired_at IS NOT NULL
), other AS (
    SELECT s.object_id AS of_object, e.content_hash, e.fingerprint, 1 AS turn, e.id
    FROM staged AS s
    CROSS JOIN LATERAL (
        SELECT content_hash, fingerprint, id
        FROM ecgs AS e
        WHERE e.patient_id = s.patient_id AND e.acquired_at IS NOT NULL
          AND coalesce(e.acquired_at, e.first_read_at) >= s.second
          AND coalesce(e.acquired_at, e.first_read_at) < s.second + interval '1 second'
        OFFSET 0  -- looked up for each: a pass over all ECGs would grow with the archive
    ) AS e
    UNION ALL
    -- A join apart, that Postgres may hash: within the look-up above it compared each ECG of a batch with each other.
    SELECT s.object_id, t.content_hash, t.fingerprint, 2, t.object_id
    FROM staged AS s
    JOIN staged AS t ON t.patient_id = s.patient_id AND t.second = s.second AND t.object_id < s.object_id
), kept AS (
    SELECT DISTINCT ON (s.object_id) s.object_id, other.content_hash
    FROM staged AS s
    JOIN other ON other.of_object = s.object_id
    WHERE (SELECT max(abs(CAST(x AS integer) - y)) <= :tolerance_uv
           FROM unnest(other.fingerprint, s.fingerprint) AS places (x, y))
    ORDER BY s.object_id, other.content_hash <> s.content_hash, other.turn, other.id
)
UPDATE staged_results AS s
SET content_hash = kept.content_hash
FROM kept
WHERE s.object_id = kept.object_id AND s.content_hash <> kept.content_hash
  -- Of three in a row, of which the first and the third differ by more, the third stays by itself.
  AND NOT EXISTS (
      SELECT FROM kept AS middle JOIN staged ON staged.object_id = middle.object_id
      WHERE staged.content_hash = kept.content_hash AND middle.content_hash <> staged.content_hash
  )
