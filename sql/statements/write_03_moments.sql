-- Of two writers that have ECGs of the same patient and second the second waits here for the first, and then sees
-- what it wrote. A row for each such moment does this: a lock for each would fill Postgres' table of locks.
INSERT INTO ecg_moments (moment)
SELECT DISTINCT hashtextextended(coalesce(a.present_id, s.patient_id), extract(epoch FROM s.acquired_at)::bigint)
FROM staged_results AS s
LEFT JOIN patient_aliases AS a ON a.patient_id = s.patient_id
WHERE s.reason IS NULL AND s.acquired_at IS NOT NULL
ORDER BY 1
ON CONFLICT DO NOTHING
