-- Messages about a patient's flags, and whether each is the last one about its flag to its receiver. One that was not
-- confirmed may have arrived.
SELECT x.format, x.destination, x.flag_id, x.status, x.sent_at IS NOT NULL AS confirmed, x.resource,
       x.id = max(x.id) OVER (PARTITION BY x.format, x.destination, x.flag_id) AS is_last
FROM ecgs AS e
JOIN flags AS f USING (content_hash)
JOIN flag_exports AS x ON x.flag_id = f.id
WHERE e.patient_id = ANY (:patient_ids)
ORDER BY x.id
