-- What was scored before the conflict came to light is void, for every model.
WITH void_flags AS (
    UPDATE flags SET state = 'withdrawn', withdrawn_for = 'patient_conflict', reviewed_at = now(),
                     reviewed_by = 'stence', note = 'the same ECG lies under more than one patient'
    WHERE (state = 'open' OR withdrawn_for = 'model_retired') AND content_hash IN (SELECT content_hash FROM conflicts)
), void_work AS (
    UPDATE worklist SET state = 'quarantined', changed_at = now()
    WHERE state = 'scored' AND object_id IN (SELECT object_id FROM conflicts)
), void_embeddings AS (
    DELETE FROM ecg_embeddings WHERE content_hash IN (SELECT content_hash FROM conflicts)
)
DELETE FROM scores WHERE content_hash IN (SELECT content_hash FROM conflicts)
