-- Site and indication of ECG files, where a manifest has them.
SELECT o.id, m.site, m.indication
FROM objects AS o JOIN manifest_records AS m USING (record_key)
WHERE o.id = ANY(:objects) AND (m.site IS NOT NULL OR m.indication IS NOT NULL)
