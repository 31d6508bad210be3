-- Roles that own something in this database or have a right to it, but superusers, which every server has of its own.
SELECT DISTINCT r.rolname
FROM pg_shdepend AS d
JOIN pg_roles AS r ON d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid
WHERE d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND NOT r.rolsuper
ORDER BY r.rolname
