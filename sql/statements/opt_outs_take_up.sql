-- Manifests are read anew where a row's patient had opted out, and files again where the patient's ECGs were read from
-- them: these raise their flags again. Quarantine cannot tell whose its opted-out files are: all are looked at again.
WITH manifests_again AS (
    UPDATE manifests SET etag = ''
    WHERE key IN (SELECT manifest_key FROM manifest_rows WHERE patient_id = :opted_out)
), retried AS (
    UPDATE quarantine SET state = 'retried', closed_at = now()
    WHERE state = 'open' AND reason = 'opted_out'
    RETURNING object_id
), angiograms AS (
    UPDATE angiogram_views AS v SET state = 'pending', changed_at = now()
    FROM retried
    WHERE v.object_id = retried.object_id
)
UPDATE worklist AS w
SET state = 'pending', attempt = w.attempt + 1, run_id = NULL, lease_expires_at = NULL, changed_at = now()
WHERE w.state IN ('scored', 'quarantined')
  AND w.object_id IN (SELECT object_id FROM retried
                      UNION SELECT id FROM objects WHERE patient_id = ANY (:patient_ids))
