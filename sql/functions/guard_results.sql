-- Flags and scores change by functions that name a person and a reason, with the owner's rights. The arguments are the
-- changes that there are.
CREATE OR REPLACE FUNCTION guard_results() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> ALL (TG_ARGV) OR coalesce(current_setting('stence.person', true), '') = ''
        OR NOT pg_has_role(current_user, 'stence_owner', 'MEMBER') THEN
        RAISE EXCEPTION '% is changed by functions that write the audit alone', TG_TABLE_NAME
            USING HINT = 'sql/README.md, section Audit, names these functions.';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION guard_results() IS 'Refuses changes of flags and scores for which nobody was named.';

CREATE OR REPLACE TRIGGER flags_guarded BEFORE UPDATE OR DELETE OR TRUNCATE ON flags
    FOR EACH STATEMENT EXECUTE FUNCTION guard_results('UPDATE', 'DELETE');
CREATE OR REPLACE TRIGGER scores_guarded BEFORE UPDATE OR DELETE OR TRUNCATE ON scores
    FOR EACH STATEMENT EXECUTE FUNCTION guard_results('DELETE');
