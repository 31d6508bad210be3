-- ECG files that a model had not scored, nor refused, at the end of a time: how many, and how long the oldest
-- had waited. Also those that are not yet on its worklist.
SELECT count(*) AS backlog,
       CAST(extract(epoch FROM CAST(:end AS timestamptz) - min(o.changed_at)) / 3600 AS double precision)
           AS backlog_age_hours
FROM objects AS o
LEFT JOIN worklist AS w ON w.object_id = o.id AND w.model_version = :model_version
WHERE o.kind = 'ecg' AND o.changed_at < :end
  AND (w.object_id IS NULL OR w.state IN ('pending', 'leased') OR w.changed_at >= :end)
