-- Name the person and the reason of the changes that follow. A function that changes flags or scores begins with act_for()
-- and ends with end_act(); an error ends both with its transaction. (A function's own SET of them would take a superuser.)
CREATE OR REPLACE FUNCTION audit.act_for(person text, reason text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(btrim(person), '') = '' OR coalesce(btrim(reason), '') = '' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'a change of flags or scores says who decided, and why';
    END IF;
    PERFORM set_config('stence.person', btrim(person), true), set_config('stence.reason', reason, true);
END
$$;
REVOKE ALL ON FUNCTION audit.act_for(text, text) FROM PUBLIC;
COMMENT ON FUNCTION audit.act_for(text, text) IS 'Name the person and the reason of the changes of a function.';

CREATE OR REPLACE FUNCTION audit.end_act() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('stence.person', '', true), set_config('stence.reason', '', true);
END
$$;
REVOKE ALL ON FUNCTION audit.end_act() FROM PUBLIC;
COMMENT ON FUNCTION audit.end_act() IS 'End what act_for() began.';

CREATE OR REPLACE FUNCTION audit.log(action text, subject text, detail jsonb) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN audit.write_entry(log.action, log.subject,
                             coalesce(nullif(current_setting('stence.person', true), ''), session_user),
                             nullif(current_setting('stence.reason', true), ''), log.detail);
END
$$;
REVOKE ALL ON FUNCTION audit.log(text, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION audit.log(text, text, jsonb) IS
    'Add an entry with the person and the reason of act_for(), or else the login.';
