-- A model is champion again: what was withdrawn because it retired comes back.
SELECT reopen_flags(array_agg(id), '{model_retired}', :by, :reason)
FROM flags
WHERE model_version = :model_version AND withdrawn_for = 'model_retired'
