-- Flags that do not stand as their last entry says: how many, and the first.
WITH told AS (
    SELECT DISTINCT ON (flag) CAST(flag AS bigint) AS id, e.detail ->> 'to' AS standing
    FROM audit.entries AS e
    JOIN audit.links AS l ON l.entry_id = e.id
    CROSS JOIN jsonb_array_elements_text(e.detail -> 'flags') AS flag
    WHERE e.action IN ('flags.raised', 'flags.changed', 'flags.deleted')
    ORDER BY flag, l.position DESC
)
SELECT count(*) AS differing, min(coalesce(told.id, f.id)) AS first
FROM told FULL JOIN flags AS f ON f.id = told.id
WHERE told.standing IS DISTINCT FROM coalesce(f.withdrawn_for, f.state)
