-- Which rows of cath reports cannot be used, and why? Newest first.
--   state    open or mended; default: both
--   limit    how many rows
\if :{?state} \else \set state '' \endif
\if :{?limit} \else \set limit 50 \endif
SELECT report_key, line, reason, state, first_seen_at, seen_at
FROM report_faults
WHERE :'state' IN ('', state)
ORDER BY first_seen_at DESC, report_key, line
LIMIT CAST(:'limit' AS bigint);
