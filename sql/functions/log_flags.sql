-- Every change of flags, by whatever statement: an entry for each kind of change, with the numbers of at most 10,000 flags.
-- A flag stands as its state says, or, if it is withdrawn, as the cause does.
CREATE OR REPLACE FUNCTION audit.log_flags() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM audit.log('flags.raised', 'flags', jsonb_build_object('to', standing, 'flags', ids))
        FROM (SELECT standing, jsonb_agg(id ORDER BY id) AS ids
              FROM (SELECT id, coalesce(withdrawn_for, state) AS standing,
                           (row_number() OVER (ORDER BY id) - 1) / 10000 AS part FROM added) AS numbered
              GROUP BY standing, part ORDER BY part) AS raised;
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM audit.log('flags.deleted', 'flags', jsonb_build_object('to', NULL, 'flags', ids))
        FROM (SELECT jsonb_agg(id ORDER BY id) AS ids
              FROM (SELECT id, (row_number() OVER (ORDER BY id) - 1) / 10000 AS part FROM removed) AS numbered
              GROUP BY part ORDER BY part) AS deleted;
    ELSE
        PERFORM audit.log('flags.changed', 'flags', jsonb_build_object(
            'from', before, 'to', after, 'moved', moved, 'altered', altered, 'flags', ids))
        FROM (SELECT before, after, moved, altered, jsonb_agg(id ORDER BY id) AS ids
              FROM (SELECT n.id, coalesce(o.withdrawn_for, o.state) AS before,
                           coalesce(n.withdrawn_for, n.state) AS after, o.patient_id <> n.patient_id AS moved,
                           (o.content_hash, o.model_version, o.target, o.probability, o.threshold, o.rule, o.raised_at)
                               <> (n.content_hash, n.model_version, n.target, n.probability, n.threshold, n.rule,
                                   n.raised_at) AS altered,
                           (row_number() OVER (ORDER BY n.id) - 1) / 10000 AS part
                    FROM removed AS o JOIN added AS n USING (id)) AS numbered
              GROUP BY before, after, moved, altered, part ORDER BY part) AS changed;
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION audit.log_flags() FROM PUBLIC;
COMMENT ON FUNCTION audit.log_flags() IS 'Writes the audit of flags that are raised, changed or deleted.';

CREATE OR REPLACE TRIGGER flags_log_raised AFTER INSERT ON flags REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION audit.log_flags();
CREATE OR REPLACE TRIGGER flags_log_changed AFTER UPDATE ON flags
    REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION audit.log_flags();
CREATE OR REPLACE TRIGGER flags_log_deleted AFTER DELETE ON flags REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION audit.log_flags();
