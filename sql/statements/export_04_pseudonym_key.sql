-- Keep the first key of pseudonyms, and return it.
INSERT INTO installation (name, value)
VALUES ('pseudonym_key', :key)
ON CONFLICT (name) DO UPDATE SET value = installation.value
RETURNING value
