-- When the ECGs of the next draw were scored: from the end of the last draw, at most seven days back, to an hour ago.
SELECT greatest(max(scored_until), now() - interval '7 days') AS scored_from, now() - interval '1 hour' AS scored_until
FROM verification_draws
