-- Rows of the append-only histories, as they are added: the arguments are the action, the columns of the person and of the
-- reason (empty: the reason stays in the history, since it may be about a patient), and those of the detail.
CREATE OR REPLACE FUNCTION audit.log_history() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    added jsonb := to_jsonb(NEW);
BEGIN
    PERFORM audit.record(TG_ARGV[0], format('%s %s', TG_TABLE_NAME, added ->> 'id'), added ->> TG_ARGV[1],
                         added ->> TG_ARGV[2],
                         (SELECT jsonb_object_agg(name, added -> name) FROM unnest(TG_ARGV[3:]) AS name));
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION audit.log_history() FROM PUBLIC;
COMMENT ON FUNCTION audit.log_history() IS 'Writes the audit of a row that is added to a history.';

CREATE OR REPLACE TRIGGER reviews_log AFTER INSERT ON reviews
    FOR EACH ROW EXECUTE FUNCTION audit.log_history('review.added', 'reviewed_by', '', 'ecg_id', 'outcome');
CREATE OR REPLACE TRIGGER snoozes_log AFTER INSERT ON snoozes
    FOR EACH ROW EXECUTE FUNCTION audit.log_history('snooze.added', 'snoozed_by', '', 'ecg_id', 'until');
CREATE OR REPLACE TRIGGER flag_decisions_log AFTER INSERT ON flag_decisions
    FOR EACH ROW EXECUTE FUNCTION audit.log_history('flags.decided', 'decided_by', 'reason', 'decision', 'flags',
        'model_version', 'device', 'first_day', 'last_day', 'withdrawal_id');
CREATE OR REPLACE TRIGGER model_events_log AFTER INSERT ON model_events
    FOR EACH ROW EXECUTE FUNCTION audit.log_history('model.changed', 'changed_by', 'reason', 'version', 'from_state',
        'to_state', 'ungated');
CREATE OR REPLACE TRIGGER model_forms_log AFTER INSERT ON model_forms
    FOR EACH ROW EXECUTE FUNCTION audit.log_history('model.form', 'decided_by', 'reason', 'model_version', 'device',
        'form', 'chosen', 'refused');
CREATE OR REPLACE TRIGGER alert_events_log AFTER INSERT ON alert_events
    FOR EACH ROW EXECUTE FUNCTION audit.log_history('alert.changed', 'by_whom', 'why', 'alert_id', 'event');
