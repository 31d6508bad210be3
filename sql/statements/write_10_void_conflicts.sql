-- What was scored before the conflict came to light is void, for every model.
UPDATE worklist SET state = 'quarantined', changed_at = now()
WHERE state = 'scored' AND object_id IN (SELECT object_id FROM conflicts);
DELETE FROM ecg_embeddings WHERE content_hash IN (SELECT content_hash FROM conflicts);
SELECT withdraw_flags(array_agg(id), '{open,model_retired}', 'patient_conflict', 'stence',
                      'the same ECG lies under more than one patient')
FROM flags
WHERE (state = 'open' OR withdrawn_for = 'model_retired') AND content_hash IN (SELECT content_hash FROM conflicts)
HAVING count(*) > 0;
SELECT delete_scores(array_agg(content_hash), 'stence', 'the same ECG lies under more than one patient')
FROM scores
WHERE content_hash IN (SELECT content_hash FROM conflicts)
HAVING count(*) > 0
