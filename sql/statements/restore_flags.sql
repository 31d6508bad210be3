-- Undo a person's withdrawal: its flags are as if their model had retired, so that those of the champion can open and
-- the others wait for theirs. Flags of an ECG that the model's scores do not hold for at present stay withdrawn.
SELECT withdraw_flags(array_agg(f.id), '{by_person}', 'model_retired', :restored_by, :reason)
FROM flags AS f
WHERE f.withdrawal_id = :withdrawal_id AND f.withdrawn_for = 'by_person'
  AND EXISTS (
      SELECT FROM objects AS o JOIN worklist AS w ON w.object_id = o.id
      WHERE o.content_hash = f.content_hash AND w.model_version = f.model_version AND w.state = 'scored'
  )
