-- Which models changed their state since a time? Oldest first.
--   since    start of the period
\if :{?since} \else \set since '-infinity' \endif
SELECT changed_at, version, from_state, to_state, changed_by, reason
FROM model_changes
WHERE changed_at > CAST(:'since' AS timestamptz)
ORDER BY change_id;
