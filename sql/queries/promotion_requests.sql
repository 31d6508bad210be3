-- Who requested the promotion of a model, and who answered? Newest first.
SELECT version, event, person, login, reason, made_at
FROM promotion_requests
ORDER BY id DESC;
