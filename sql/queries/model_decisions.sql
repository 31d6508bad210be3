-- Who changed which model's state, when and why? Newest first.
--   limit    number of changes
\if :{?limit} \else \set limit 50 \endif
SELECT changed_at, version, from_state, to_state, changed_by, ungated, reason
FROM model_events
ORDER BY id DESC
LIMIT CAST(:'limit' AS bigint);
