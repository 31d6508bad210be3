-- The roles of this server.
SELECT rolname FROM pg_roles
