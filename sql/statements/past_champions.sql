-- Every model that is or was champion, the oldest first: flags were theirs alone.
SELECT m.version, m.preprocessing_version
FROM models AS m
WHERE EXISTS (SELECT FROM model_events AS e WHERE e.version = m.version AND e.to_state = 'champion')
ORDER BY m.created_at, m.version
