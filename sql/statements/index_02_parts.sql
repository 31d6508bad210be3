-- Files in the listing that a header of another name needs are signals, and no ECGs of their own.
UPDATE objects
SET kind = 'signal'
WHERE kind = 'ecg' AND key IN (SELECT key FROM record_parts JOIN staged_objects USING (key))
