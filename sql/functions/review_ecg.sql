-- Record what a person found out about a flagged ECG; its flags that are not withdrawn follow. SECURITY DEFINER, so that a
-- reviewer needs no right to the tables; nobody may call it until they are let.
CREATE OR REPLACE FUNCTION review_ecg(ecg_id bigint, outcome text, reviewed_by text, note text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    hash bytea;
    review bigint;
BEGIN
    IF review_ecg.outcome IS NULL OR review_ecg.outcome NOT IN ('confirmed', 'dismissed') THEN
        RAISE invalid_parameter_value USING MESSAGE = 'the outcome of a review is confirmed or dismissed';
    END IF;
    IF coalesce(btrim(review_ecg.reviewed_by), '') = '' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'a review says who reviewed';
    END IF;
    PERFORM check_visible(review_ecg.ecg_id);
    SELECT content_hash INTO hash FROM ecgs WHERE id = review_ecg.ecg_id;
    PERFORM audit.act_for(review_ecg.reviewed_by, 'the ECG was reviewed');
    -- The flags first: of two reviews of one ECG the second waits, and the newest decides what they say.
    UPDATE flags
    SET state = review_ecg.outcome, reviewed_by = btrim(review_ecg.reviewed_by), reviewed_at = now(),
        note = review_ecg.note
    WHERE content_hash = hash AND state <> 'withdrawn';
    IF NOT FOUND THEN
        RAISE no_data_found USING MESSAGE = format('ECG %s has no flag to review', review_ecg.ecg_id);
    END IF;
    INSERT INTO reviews (ecg_id, outcome, reviewed_by, note, login)
    VALUES (review_ecg.ecg_id, review_ecg.outcome, btrim(review_ecg.reviewed_by), review_ecg.note, session_user)
    RETURNING id INTO review;
    PERFORM audit.end_act();
    RETURN review;
END
$$;
REVOKE ALL ON FUNCTION review_ecg(bigint, text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION review_ecg(bigint, text, text, text) IS
    'Record what a person found out about a flagged ECG; its flags follow. Returns the number of the review.';
