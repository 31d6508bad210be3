-- The next ECG files below a prefix that are in quarantine, in the order of their keys' bytes.
SELECT o.key
FROM quarantine AS q JOIN objects AS o ON o.id = q.object_id
WHERE q.state = 'open' AND o.kind = 'ecg' AND starts_with(o.key, :prefix) AND o.key COLLATE "C" > :after
ORDER BY o.key COLLATE "C"
LIMIT :limit
