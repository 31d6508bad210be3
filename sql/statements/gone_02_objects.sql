-- Files that are gone are on no worklist, claim no ECG, and wait for nobody. Should one come back, it counts as changed.
WITH gone AS (
    UPDATE objects SET kind = 'gone', listed_etag = '', content_hash = NULL, patient_id = NULL
    WHERE key = ANY (CAST(:keys AS text[])) AND kind = 'ecg'
    RETURNING id
), listed AS (
    DELETE FROM worklist WHERE object_id IN (SELECT id FROM gone) AND state <> 'scored'
)
UPDATE quarantine
SET state = 'resolved', closed_by = 'stence: gone from the store', closed_at = now()
WHERE object_id IN (SELECT id FROM gone) AND state = 'open'
