-- Files that headers need are signals, and no ECGs of their own.
UPDATE objects AS o
SET kind = 'signal', content_hash = NULL, patient_id = NULL
FROM staged_parts AS p
WHERE o.key = p.key AND o.kind = 'ecg'
