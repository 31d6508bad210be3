-- The audit in the order of the chain, with the text that each link hashes. Not by audit.canonical(): whoever rewrites
-- the chain could rewrite the function.
SELECT l.position, l.entry_id, l.hash,
       convert_to(CAST(jsonb_build_array(
           e.id, CAST(extract(epoch FROM e.at) * 1000000 AS bigint), e.login, e.role,
           e.person, e.action, e.subject, e.reason, e.detail) AS text), 'UTF8') AS entry,
       e.id IS NOT NULL AS found
FROM audit.links AS l
LEFT JOIN audit.entries AS e ON e.id = l.entry_id
ORDER BY l.position
