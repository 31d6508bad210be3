-- How many ECG files of a time cannot be used, by reason. A file's time is the manifest's, else when it came in.
SELECT q.reason, count(*) AS ecgs
FROM quarantine AS q
JOIN objects AS o ON o.id = q.object_id
LEFT JOIN manifest_records AS m USING (record_key)
WHERE o.kind = 'ecg' AND q.etag = o.etag AND q.state IN ('open', 'dismissed')
  AND coalesce(m.acquired_at, q.entered_at) >= :start AND coalesce(m.acquired_at, q.entered_at) < :end
GROUP BY q.reason
ORDER BY q.reason
