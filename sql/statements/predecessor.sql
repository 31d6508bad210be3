-- The champion before a model: before its own first promotion, or now, if it has never been champion.
SELECT version
FROM model_events
WHERE to_state = 'champion' AND version <> :model_version
  AND id < coalesce((
      SELECT min(id) FROM model_events WHERE version = :model_version AND to_state = 'champion'
  ), 9223372036854775807)
ORDER BY id DESC
LIMIT 1
