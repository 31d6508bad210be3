-- Which flags did people withdraw or restore, and why? Newest first.
--   limit    number of decisions
\if :{?limit} \else \set limit 50 \endif
SELECT id AS decision, decided_at, decision AS what, flags, model_version, device, first_day, last_day, withdrawal_id,
       decided_by, reason
FROM flag_decisions
ORDER BY id DESC
LIMIT CAST(:'limit' AS bigint);
