-- Which rows of manifests, cath reports and merge tables cannot be used, and why? Newest first.
--   kind     manifest, report or merge; default: all
--   state    open or mended; default: both
--   limit    number of rows
\if :{?kind} \else \set kind '' \endif
\if :{?state} \else \set state '' \endif
\if :{?limit} \else \set limit 50 \endif
SELECT kind, source_key, line, reason, state, first_seen_at, seen_at
FROM unusable_rows
WHERE :'kind' IN ('', kind) AND :'state' IN ('', state)
ORDER BY first_seen_at DESC NULLS FIRST, source_key, line
LIMIT CAST(:'limit' AS bigint);
