-- Rights on the database itself, which no dump holds: migration 0023 gave them. Where its roles are not there yet, it will.
DO $$
BEGIN
    IF to_regrole('stence_owner') IS NOT NULL THEN
        EXECUTE format('GRANT CREATE, TEMPORARY ON DATABASE %I TO stence_owner', current_database());
        EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO stence_writer, stence_approver', current_database());
    END IF;
END
$$
