-- A model is champion no more: its open flags leave the list. Reviewed ones stay.
UPDATE flags
SET state = 'withdrawn', withdrawn_for = 'model_retired', reviewed_at = now(), reviewed_by = :withdrawn_by, note = :reason
WHERE model_version = :model_version AND state = 'open'
