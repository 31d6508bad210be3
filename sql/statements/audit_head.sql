-- The newest link of the audit.
SELECT position, encode(hash, 'hex') AS hash FROM audit.links ORDER BY position DESC LIMIT 1
