-- ECGs that were scored once, and whose patient nobody can name any more: what was scored under that patient is void,
-- for every model, unless another file holds the ECG under one.
CREATE TEMP TABLE unclear ON COMMIT DROP AS
SELECT o.id AS object_id, o.content_hash
FROM objects AS o JOIN staged_results AS s ON s.object_id = o.id
WHERE s.reason IN ('unknown_patient', 'unreadable_patient', 'patient_mismatch') AND o.content_hash IS NOT NULL;
CREATE TEMP TABLE void ON COMMIT DROP AS
SELECT DISTINCT content_hash FROM unclear
WHERE NOT EXISTS (
    SELECT FROM objects AS other JOIN worklist AS w ON w.object_id = other.id AND w.state = 'scored'
    WHERE other.content_hash = unclear.content_hash
      AND other.id NOT IN (SELECT object_id FROM unclear)
);
UPDATE worklist SET state = 'quarantined', changed_at = now()
WHERE state = 'scored' AND object_id IN (SELECT object_id FROM unclear);
DELETE FROM ecg_embeddings WHERE content_hash IN (SELECT content_hash FROM void);
SELECT withdraw_flags(array_agg(id), '{open,model_retired}', 'patient_unclear', 'stence',
                      'nobody can say whose ECG it is')
FROM flags
WHERE (state = 'open' OR withdrawn_for = 'model_retired') AND content_hash IN (SELECT content_hash FROM void)
HAVING count(*) > 0;
SELECT delete_scores(array_agg(content_hash), 'stence', 'nobody can say whose ECG it is')
FROM scores
WHERE content_hash IN (SELECT content_hash FROM void)
HAVING count(*) > 0;
UPDATE objects SET content_hash = NULL, patient_id = NULL WHERE id IN (SELECT object_id FROM unclear)
