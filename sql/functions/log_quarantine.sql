-- Quarantine that is retried, resolved or dismissed: an entry for each kind of change, with at most 10,000 numbers of rows.
CREATE OR REPLACE FUNCTION audit.log_quarantine() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM audit.record('quarantine.closed', 'quarantine', coalesce(closed_by, session_user), NULL,
                         jsonb_build_object('from', before, 'to', after, 'rows', ids))
    FROM (SELECT closed_by, before, after, jsonb_agg(id ORDER BY id) AS ids
          FROM (SELECT n.id, n.closed_by, o.state AS before, n.state AS after,
                       (row_number() OVER (ORDER BY n.id) - 1) / 10000 AS part
                FROM removed AS o JOIN added AS n USING (id) WHERE o.state <> n.state) AS numbered
          GROUP BY closed_by, before, after, part ORDER BY part) AS closed;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION audit.log_quarantine() FROM PUBLIC;
COMMENT ON FUNCTION audit.log_quarantine() IS 'Writes the audit of quarantine rows that change their state.';

CREATE OR REPLACE TRIGGER quarantine_log AFTER UPDATE ON quarantine
    REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION audit.log_quarantine();
