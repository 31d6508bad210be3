-- Rights on the database itself, which no dump holds: migration 0023 gave them. Where its roles are not there yet, it will.
-- They are needed before the dump is restored: only a superuser hands tables to a role that may not create any.
DO $$
BEGIN
    IF to_regrole('stence_owner') IS NOT NULL THEN
        GRANT CREATE, USAGE ON SCHEMA public TO stence_owner;
        EXECUTE format('GRANT CREATE, TEMPORARY ON DATABASE %I TO stence_owner', current_database());
        EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO stence_writer, stence_approver', current_database());
    END IF;
END
$$
