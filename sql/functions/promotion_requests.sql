-- Requests and approvals of promotions. SECURITY DEFINER: session_user is the login that Postgres checked, whatever role
-- the session has taken.
CREATE OR REPLACE FUNCTION note_promotion(version text, event text, person text, reason text)
RETURNS void LANGUAGE sql SET search_path = public, pg_temp AS $$
    INSERT INTO promotion_requests (version, event, person, login, reason)
    VALUES (note_promotion.version, note_promotion.event, btrim(note_promotion.person), session_user,
            note_promotion.reason);
    SELECT audit.record('promotion.' || note_promotion.event, note_promotion.version,
                        btrim(note_promotion.person), note_promotion.reason);
$$;
COMMENT ON FUNCTION note_promotion(text, text, text, text) IS
    'Adds an event of a request; for the functions of requests alone.';
CREATE OR REPLACE FUNCTION last_promotion_event(version text) RETURNS promotion_requests
LANGUAGE sql SET search_path = public, pg_temp AS $$
    SELECT * FROM promotion_requests AS p
    WHERE p.version = last_promotion_event.version ORDER BY id DESC LIMIT 1
$$;
COMMENT ON FUNCTION last_promotion_event(text) IS
    'The last event of a model''s requests; for the functions of requests alone.';

CREATE OR REPLACE FUNCTION request_promotion(version text, person text, reason text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    LOCK TABLE promotion_requests IN SHARE ROW EXCLUSIVE MODE;
    IF coalesce(btrim(person), '') = '' OR coalesce(btrim(reason), '') = '' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'A request says who requests, and why.';
    END IF;
    IF lower(btrim(person)) = 'stence' AND NOT pg_has_role(session_user, 'stence_writer', 'MEMBER') THEN
        RAISE invalid_parameter_value USING MESSAGE = 'Only the flows request in the name of stence.';
    END IF;
    IF (last_promotion_event(version)).event IN ('requested', 'approved') THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'This promotion is requested already; stence models requests shows by whom.';
    END IF;
    PERFORM note_promotion(version, 'requested', person, reason);
END
$$;
COMMENT ON FUNCTION request_promotion(text, text, text) IS 'Request the promotion of a model.';

CREATE OR REPLACE FUNCTION answer_promotion(version text, approve boolean, person text, reason text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    request promotion_requests;
BEGIN
    LOCK TABLE promotion_requests IN SHARE ROW EXCLUSIVE MODE;
    request = last_promotion_event(version);
    IF request.event IS DISTINCT FROM 'requested' THEN
        RAISE no_data_found USING
            MESSAGE = 'No request waits for an answer: stence models request comes first.';
    END IF;
    IF coalesce(btrim(person), '') = '' OR coalesce(btrim(reason), '') = '' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'An answer says who answers, and why.';
    END IF;
    IF approve AND lower(btrim(person)) IN (lower(request.person), 'stence') THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'Another person than the one who requested the promotion must approve it.';
    END IF;
    IF approve AND request.person <> 'stence' AND request.login = session_user THEN
        RAISE invalid_parameter_value USING MESSAGE = format(
            'The request came from the same login of Postgres, %s: approve it with your own login in '
            'STENCE_DATABASE_URL.', session_user);
    END IF;
    PERFORM note_promotion(version, CASE WHEN approve THEN 'approved' ELSE 'refused' END, person, reason);
END
$$;
COMMENT ON FUNCTION answer_promotion(text, boolean, text, text) IS
    'Approve or refuse a requested promotion; who requested it, by name or login, cannot approve it.';

CREATE OR REPLACE FUNCTION use_approval(version text, person text, reason text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    LOCK TABLE promotion_requests IN SHARE ROW EXCLUSIVE MODE;
    IF (last_promotion_event(version)).event IS DISTINCT FROM 'approved' THEN
        RAISE no_data_found USING MESSAGE =
            'This promotion needs a second person: stence models request, then stence models approve.';
    END IF;
    PERFORM note_promotion(version, 'promoted', person, reason);
END
$$;
COMMENT ON FUNCTION use_approval(text, text, text) IS 'Use the approval of a promotion; it holds once.';
REVOKE ALL ON FUNCTION note_promotion(text, text, text, text), last_promotion_event(text),
    request_promotion(text, text, text), answer_promotion(text, boolean, text, text),
    use_approval(text, text, text) FROM PUBLIC;
