-- Runs whose scores are not those of the audit: how many, and the first. The last entry of a run counts all that it wrote;
-- later deletions take from it. A run that goes on has no entry yet.
WITH written AS (
    SELECT DISTINCT ON (e.subject) e.subject, l.position, CAST(e.detail ->> 'scores' AS bigint) AS scores,
           CAST(e.detail ->> 'digest' AS bigint) AS digest
    FROM audit.entries AS e
    JOIN audit.links AS l ON l.entry_id = e.id
    WHERE e.action = 'scores.written'
    ORDER BY e.subject, l.position DESC
), deleted AS (
    SELECT e.subject, sum(CAST(e.detail ->> 'scores' AS bigint)) AS scores,
           bit_xor(CAST(e.detail ->> 'digest' AS bigint)) AS digest
    FROM audit.entries AS e
    JOIN audit.links AS l ON l.entry_id = e.id
    JOIN written ON written.subject = e.subject AND written.position < l.position
    WHERE e.action = 'scores.deleted'
    GROUP BY e.subject
), told AS (
    SELECT subject, w.scores - coalesce(d.scores, 0) AS scores, w.digest # coalesce(d.digest, 0) AS digest
    FROM written AS w LEFT JOIN deleted AS d USING (subject)
), there AS (
    SELECT format('runs %s', run_id) AS subject, count(*) AS scores, bit_xor(audit.digest(s)) AS digest
    FROM scores AS s
    GROUP BY run_id
)
SELECT count(*) AS differing, min(subject) AS first
FROM told FULL JOIN there USING (subject)
WHERE subject NOT IN (SELECT format('runs %s', id) FROM runs WHERE state = 'running')
  AND (coalesce(told.scores, 0), coalesce(told.digest, 0)) <> (coalesce(there.scores, 0), coalesce(there.digest, 0))
