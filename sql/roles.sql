-- Make the roles of stence where its login may not: psql -v login=LOGIN -f sql/roles.sql, as a superuser in its database.
-- The login then migrates the schema; the flows' own login needs no more than GRANT stence_writer.
SELECT format('CREATE ROLE %I NOLOGIN', role)
FROM unnest(ARRAY['stence_owner', 'stence_writer', 'stence_reader', 'stence_clinician', 'stence_approver']) AS roles (role)
WHERE to_regrole(role) IS NULL
\gexec
GRANT stence_owner, stence_writer, stence_approver TO :"login";
GRANT CREATE, TEMPORARY ON DATABASE :"DBNAME" TO stence_owner;
GRANT TEMPORARY ON DATABASE :"DBNAME" TO stence_writer, stence_approver;
GRANT CREATE, USAGE ON SCHEMA public TO stence_owner;
GRANT USAGE ON SCHEMA public TO stence_writer, stence_reader, stence_clinician, stence_approver;
