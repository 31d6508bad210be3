-- ECGs that were scored once, and whose patient nobody can name any more: what was scored under that patient is void,
-- for every model, unless another file holds the ECG under one.
WITH unclear AS (
    SELECT o.id AS object_id, o.content_hash
    FROM objects AS o JOIN staged_results AS s ON s.object_id = o.id
    WHERE s.reason IN ('unknown_patient', 'unreadable_patient', 'patient_mismatch') AND o.content_hash IS NOT NULL
), void AS (
    SELECT DISTINCT content_hash FROM unclear
    WHERE NOT EXISTS (
        SELECT FROM objects AS other JOIN worklist AS w ON w.object_id = other.id AND w.state = 'scored'
        WHERE other.content_hash = unclear.content_hash
          AND other.id NOT IN (SELECT object_id FROM unclear)
    )
), void_flags AS (
    UPDATE flags SET state = 'withdrawn', withdrawn_for = 'patient_unclear', reviewed_at = now(),
                     reviewed_by = 'stence', note = 'nobody can say whose ECG it is'
    WHERE (state = 'open' OR withdrawn_for = 'model_retired') AND content_hash IN (SELECT content_hash FROM void)
), void_work AS (
    UPDATE worklist SET state = 'quarantined', changed_at = now()
    WHERE state = 'scored' AND object_id IN (SELECT object_id FROM unclear)
), void_embeddings AS (
    DELETE FROM ecg_embeddings WHERE content_hash IN (SELECT content_hash FROM void)
), void_scores AS (
    DELETE FROM scores WHERE content_hash IN (SELECT content_hash FROM void)
)
UPDATE objects SET content_hash = NULL, patient_id = NULL WHERE id IN (SELECT object_id FROM unclear)
