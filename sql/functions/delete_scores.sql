-- Delete the scores of ECGs that are void, or to forget a patient.
CREATE OR REPLACE FUNCTION delete_scores(hashes bytea[], person text, reason text)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    deleted bigint;
BEGIN
    PERFORM audit.act_for(person, reason);
    DELETE FROM scores WHERE content_hash = ANY (hashes);
    GET DIAGNOSTICS deleted = ROW_COUNT;
    PERFORM audit.end_act();
    RETURN deleted;
END
$$;
REVOKE ALL ON FUNCTION delete_scores(bytea[], text, text) FROM PUBLIC;
COMMENT ON FUNCTION delete_scores(bytea[], text, text) IS
    'Delete the scores of ECGs, and write the audit. Returns their number.';
