-- Take a patient off the list until a day, by an ECG of theirs.
CREATE OR REPLACE FUNCTION snooze_patient(ecg_id bigint, until date, snoozed_by text, reason text)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    snooze bigint;
BEGIN
    IF snooze_patient.until IS NULL OR NOT isfinite(snooze_patient.until) THEN
        RAISE invalid_parameter_value USING MESSAGE = 'a snooze has a last day';
    END IF;
    IF coalesce(btrim(snooze_patient.snoozed_by), '') = ''
        OR coalesce(btrim(snooze_patient.reason), '') = '' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'a snooze says who decided, and why';
    END IF;
    PERFORM check_visible(snooze_patient.ecg_id);
    INSERT INTO snoozes (ecg_id, until, snoozed_by, reason, login)
    VALUES (snooze_patient.ecg_id, snooze_patient.until, btrim(snooze_patient.snoozed_by),
            snooze_patient.reason, session_user)
    RETURNING id INTO snooze;
    RETURN snooze;
END
$$;
REVOKE ALL ON FUNCTION snooze_patient(bigint, date, text, text) FROM PUBLIC;
COMMENT ON FUNCTION snooze_patient(bigint, date, text, text) IS
    'Take the patient of an ECG off the list up to and including a day. Returns the number of the snooze.';
