-- What was sent to other systems, and what waits or was refused? One row per destination and status.
SELECT format, destination, status,
       count(sent_at) AS sent,
       count(*) FILTER (WHERE sent_at IS NULL AND refusal IS NULL) AS waiting,
       count(refusal) AS refused,
       max(sent_at) AS last_sent_at,
       max(refusal) AS a_refusal
FROM flag_exports
GROUP BY format, destination, status
ORDER BY format, destination, status;
