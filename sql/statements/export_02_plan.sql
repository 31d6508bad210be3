-- Plan a message for each open flag of the champion that the destination does not know, and for each flag that it
-- knows and that was withdrawn, came back or went to another patient since. With :flags, only of these, which it knows.
WITH latest AS (
    SELECT DISTINCT ON (flag_id) flag_id, status, patient_id, sent_at
    FROM flag_exports
    WHERE format = :format AND destination = :destination
      AND (CAST(:flags AS bigint[]) IS NULL OR flag_id = ANY (CAST(:flags AS bigint[])))
    ORDER BY flag_id, id DESC
)
INSERT INTO flag_exports (flag_id, format, destination, status, patient_id)
SELECT due.flag_id, :format, :destination, due.status, due.patient_id
FROM (
    SELECT f.id AS flag_id, 'final' AS status, f.patient_id
    FROM flags AS f
    JOIN models ON models.version = f.model_version AND models.state = 'champion'
    WHERE f.state = 'open' AND CAST(:flags AS bigint[]) IS NULL AND NOT EXISTS (SELECT FROM latest WHERE latest.flag_id = f.id)
    UNION ALL
    SELECT f.id, CASE WHEN f.state = 'withdrawn' THEN 'entered-in-error' ELSE 'corrected' END, f.patient_id
    FROM latest
    JOIN flags AS f ON f.id = latest.flag_id
    WHERE latest.sent_at IS NOT NULL
      AND (latest.patient_id <> f.patient_id OR (latest.status = 'entered-in-error') <> (f.state = 'withdrawn'))
) AS due
ORDER BY due.flag_id
