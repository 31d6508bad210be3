-- A model is champion no more: its open flags leave the list. Reviewed ones stay.
SELECT withdraw_flags(array_agg(id), '{open}', 'model_retired', :by, :reason)
FROM flags
WHERE model_version = :model_version AND state = 'open'
