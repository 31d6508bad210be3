-- Who did what, when and why? Newest first.
--   limit    number of entries
--   action   only entries of this action, for example flags.changed
\if :{?limit} \else \set limit 50 \endif
\if :{?action} \else \set action '' \endif
SELECT id, at, login, role, person, action, subject, reason, left(CAST(detail AS text), 200) AS detail
FROM audit.entries
WHERE :'action' IN ('', action)
ORDER BY id DESC
LIMIT CAST(:'limit' AS bigint);
