-- Keep the seed of the first draw; one draw at a time.
INSERT INTO installation (name, value)
VALUES ('verification_seed', :seed)
ON CONFLICT (name) DO UPDATE SET value = installation.value
