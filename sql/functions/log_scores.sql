-- Scores by run: an entry at its end, whatever the end, with the number of its scores and their sum of digests. Scores that
-- are written outside a running run, or deleted, make an entry at once.
-- The lock of all puts the entry in order with those of deletions: each counts what those before it left. The lock of the
-- run makes a run that is closed for dead wait for a batch that is being written: one of the two counts it.
CREATE OR REPLACE FUNCTION audit.log_run(run runs) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('scores of a run'), hashtext(CAST(run.id AS text)));
    PERFORM pg_advisory_xact_lock(hashtext('audit of scores'));
    PERFORM audit.write_entry('scores.written', format('runs %s', run.id),
                              coalesce(nullif(current_setting('stence.person', true), ''), session_user),
                              'the run is ' || run.state,
                              jsonb_build_object('model_version', run.model_version, 'scores', scores, 'digest', digest))
    FROM (SELECT count(*) AS scores, coalesce(bit_xor(audit.digest(s)), 0) AS digest
          FROM scores AS s WHERE s.run_id = run.id) AS of_run;
END
$$;
COMMENT ON FUNCTION audit.log_run(runs) IS 'Writes the audit of all scores of a run.';

CREATE OR REPLACE FUNCTION audit.log_ended_run() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM audit.log_run(NEW);
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER runs_log_ended AFTER UPDATE OF state ON runs
    FOR EACH ROW WHEN (NEW.state <> 'running' AND OLD.state <> NEW.state)
    EXECUTE FUNCTION audit.log_ended_run();
COMMENT ON FUNCTION audit.log_ended_run() IS 'Writes the audit of the scores of a run that ends.';

CREATE OR REPLACE FUNCTION audit.log_scores() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM pg_advisory_xact_lock_shared(hashtext('scores of a run'), hashtext(CAST(run_id AS text)))
        FROM (SELECT DISTINCT run_id FROM added) AS of_added;
        PERFORM audit.log_run(r) FROM runs AS r
        WHERE r.id IN (SELECT run_id FROM added) AND r.state <> 'running';
    ELSE
        PERFORM pg_advisory_xact_lock(hashtext('audit of scores'));
        PERFORM audit.log('scores.deleted', format('runs %s', run_id),
                          jsonb_build_object('scores', scores, 'digest', digest))
        FROM (SELECT run_id, count(*) AS scores, bit_xor(audit.digest(CAST(ROW(r.*) AS scores))) AS digest
              FROM removed AS r GROUP BY run_id) AS by_run;
    END IF;
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER scores_log_late AFTER INSERT ON scores REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION audit.log_scores();
CREATE OR REPLACE TRIGGER scores_log_deleted AFTER DELETE ON scores REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION audit.log_scores();
COMMENT ON FUNCTION audit.log_scores() IS 'Writes the audit of scores outside a running run, and of deleted ones.';
REVOKE ALL ON FUNCTION audit.log_run(runs), audit.log_ended_run(), audit.log_scores() FROM PUBLIC;
