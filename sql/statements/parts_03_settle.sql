-- Nobody is to score them, and what was held against them by themselves is settled.
WITH signals AS (
    SELECT o.id FROM objects AS o JOIN staged_parts AS p ON p.key = o.key WHERE o.kind = 'signal'
), staged AS (
    DELETE FROM staged_results WHERE object_id IN (SELECT id FROM signals)
), listed AS (
    DELETE FROM worklist WHERE object_id IN (SELECT id FROM signals)
)
UPDATE quarantine
SET state = 'resolved', closed_by = 'stence', closed_at = now()
WHERE object_id IN (SELECT id FROM signals) AND state IN ('open', 'retried')
