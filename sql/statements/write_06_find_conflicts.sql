-- The same ECG under more than one patient, by their present numbers: nobody can say whose it is but a person. All
-- its files, but those that a person has dismissed, go to quarantine, and every row names the others.
CREATE TEMP TABLE conflicts ON COMMIT DROP AS
WITH claims AS (
    SELECT o.id AS object_id, o.key, o.etag, o.content_hash, coalesce(a.present_id, o.patient_id) AS patient_id
    FROM objects AS o
    LEFT JOIN patient_aliases AS a ON a.patient_id = o.patient_id
    WHERE o.content_hash IN (SELECT content_hash FROM staged_results WHERE reason IS NULL)
      AND NOT EXISTS (
          SELECT FROM quarantine AS q
          WHERE q.object_id = o.id AND q.state = 'dismissed'
            AND (q.etag = o.etag OR q.content_hash = o.content_hash)
      )
), disputed AS (
    SELECT content_hash, left(string_agg(key, ', ' ORDER BY key), 2000) AS keys
    FROM claims GROUP BY content_hash HAVING count(DISTINCT patient_id) > 1
)
SELECT c.object_id, c.etag, c.content_hash, d.keys
FROM claims AS c JOIN disputed AS d USING (content_hash)
