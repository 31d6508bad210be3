-- Why was a model in shadow not promoted by itself? The last look first.
--   limit    number of rows
\if :{?limit} \else \set limit 50 \endif
SELECT last_at, version, result, array_to_string(checks, ', ') AS checks, reason, looks, first_at
FROM promotion_refusals
ORDER BY last_at DESC, version, checks
LIMIT CAST(:'limit' AS bigint);
