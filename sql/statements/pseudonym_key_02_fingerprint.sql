-- Keep the fingerprint of the first key, and return it.
INSERT INTO installation (name, value)
VALUES ('pseudonym_fingerprint', :fingerprint)
ON CONFLICT (name) DO UPDATE SET value = installation.value
RETURNING value
