-- Every entry of the audit. Those of flags and scores are written by the triggers on them alone, which call write_entry():
-- stence audit verify believes them.
CREATE OR REPLACE FUNCTION audit.write_entry(action text, subject text, person text, reason text, detail jsonb)
RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO audit.entries (login, role, person, action, subject, reason, detail)
    VALUES (session_user, coalesce(nullif(current_setting('role'), 'none'), session_user),
            write_entry.person, write_entry.action, write_entry.subject, write_entry.reason, write_entry.detail)
    RETURNING id
$$;
REVOKE ALL ON FUNCTION audit.write_entry(text, text, text, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION audit.write_entry(text, text, text, text, jsonb) IS
    'Add an entry with the login and the role of the session; for the functions of the audit alone.';

CREATE OR REPLACE FUNCTION audit.record(action text, subject text, person text, reason text, detail jsonb DEFAULT '{}')
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF record.action ~ '^(flags|scores)[.](raised|changed|deleted|written)$' THEN
        RAISE insufficient_privilege USING MESSAGE = 'entries of flags and scores are written by their triggers alone';
    END IF;
    RETURN audit.write_entry(record.action, record.subject, record.person, record.reason, record.detail);
END
$$;
REVOKE ALL ON FUNCTION audit.record(text, text, text, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION audit.record(text, text, text, text, jsonb) IS
    'Add an entry to the audit, with the login and the role of the session. Returns its number.';
