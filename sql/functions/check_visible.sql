-- Functions with the owner's rights, which no policy limits, begin with it. The answer is that of an ECG that does not exist.
CREATE OR REPLACE FUNCTION check_visible(ecg_id bigint) RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM ecgs WHERE id = check_visible.ecg_id)
        OR NOT (pg_has_role(session_user, 'stence_writer', 'MEMBER')
                OR EXISTS (SELECT FROM access.ecgs WHERE id = check_visible.ecg_id)) THEN
        RAISE no_data_found USING MESSAGE = format('there is no ECG %s', check_visible.ecg_id);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION check_visible(bigint) FROM PUBLIC;
COMMENT ON FUNCTION check_visible(bigint) IS
    'Refuse an ECG that does not exist, or that the login does not see and may not score either.';
