-- What all manifests together say of the touched records, where it is something new. Rows that name different
-- patients, by their present numbers, cancel each other out, and so do different times.
INSERT INTO changed_records
WITH said AS (
    SELECT r.record_key,
           count(DISTINCT coalesce(a.present_id, r.patient_id)) > 1 AS contradicts,
           min(coalesce(a.present_id, r.patient_id)) AS patient_id,
           count(DISTINCT r.acquired_at) > 1 AS times_contradict,
           min(r.acquired_at) AS acquired_at,
           min(r.local_timezone) AS local_timezone,
           (array_agg(r.study_id ORDER BY r.manifest_key COLLATE "C" DESC, r.line DESC))[1] AS study_id,
           (array_agg(r.site ORDER BY r.manifest_key COLLATE "C" DESC, r.line DESC))[1] AS site,
           (array_agg(r.indication ORDER BY r.manifest_key COLLATE "C" DESC, r.line DESC))[1] AS indication,
           string_agg(r.manifest_key || ' line ' || r.line, ', ' ORDER BY r.manifest_key COLLATE "C", r.line)
               AS places
    FROM manifest_rows AS r
    LEFT JOIN patient_aliases AS a ON a.patient_id = r.patient_id
    WHERE r.record_key IN (SELECT record_key FROM touched_records)
    GROUP BY r.record_key
), resolved AS (
    SELECT record_key,
           CASE WHEN NOT contradicts THEN patient_id END AS patient_id,
           CASE WHEN contradicts THEN left(places, 2000) END AS contradiction,
           study_id,
           CASE WHEN NOT times_contradict THEN acquired_at END AS acquired_at,
           CASE WHEN NOT times_contradict THEN local_timezone END AS local_timezone,
           site, indication
    FROM said
)
SELECT t.record_key, n.patient_id, n.contradiction, n.study_id, n.acquired_at, n.local_timezone, n.site, n.indication,
       (m.patient_id, m.contradiction) IS DISTINCT FROM (n.patient_id, n.contradiction),
       (m.patient_id, m.contradiction, m.acquired_at, m.site, m.indication)
       IS DISTINCT FROM (n.patient_id, n.contradiction, n.acquired_at, n.site, n.indication)
FROM (SELECT DISTINCT record_key FROM touched_records) AS t
LEFT JOIN resolved AS n USING (record_key)
LEFT JOIN manifest_records AS m USING (record_key)
WHERE (m.record_key IS NULL) <> (n.record_key IS NULL)
   OR (m.patient_id, m.contradiction, m.study_id, m.acquired_at, m.local_timezone, m.site, m.indication)
      IS DISTINCT FROM
      (n.patient_id, n.contradiction, n.study_id, n.acquired_at, n.local_timezone, n.site, n.indication)
