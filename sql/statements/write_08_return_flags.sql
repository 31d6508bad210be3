-- Flags that were withdrawn because nobody could name the patient come back, those of other models as well: open where
-- the model is champion, and else withdrawn for that.
SELECT CASE WHEN champion
            THEN reopen_flags(ids, '{patient_unclear}', 'stence', 'its patient is certain again')
            ELSE withdraw_flags(ids, '{patient_unclear}', 'model_retired', 'stence',
                                'its model is not champion any more') END
FROM (
    SELECT m.state = 'champion' AS champion, array_agg(f.id) AS ids
    FROM flags AS f
    JOIN models AS m ON m.version = f.model_version
    WHERE f.content_hash IN (SELECT content_hash FROM staged_results WHERE reason IS NULL)
      AND f.content_hash NOT IN (SELECT content_hash FROM conflicts)
      AND f.withdrawn_for = 'patient_unclear'
      AND EXISTS (SELECT FROM scores AS s WHERE s.content_hash = f.content_hash AND s.model_version = f.model_version)
    GROUP BY m.state = 'champion'
) AS back
