-- Files in the listing that a header of another name needs are signals, and no ECGs of their own.
UPDATE objects AS o
SET kind = 'signal'
FROM staged_objects AS s
WHERE o.key = s.key AND o.kind = 'ecg' AND EXISTS (SELECT FROM record_parts AS p WHERE p.key = o.key)
