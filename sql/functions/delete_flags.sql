-- Delete the flags of ECGs, to forget a patient. Whatever refers to them goes before.
CREATE OR REPLACE FUNCTION delete_flags(hashes bytea[], person text, reason text)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    deleted bigint;
BEGIN
    PERFORM audit.act_for(person, reason);
    DELETE FROM flags WHERE content_hash = ANY (hashes);
    GET DIAGNOSTICS deleted = ROW_COUNT;
    PERFORM audit.end_act();
    RETURN deleted;
END
$$;
REVOKE ALL ON FUNCTION delete_flags(bytea[], text, text) FROM PUBLIC;
COMMENT ON FUNCTION delete_flags(bytea[], text, text) IS
    'Delete the flags of ECGs, and write the audit. Returns their number.';
