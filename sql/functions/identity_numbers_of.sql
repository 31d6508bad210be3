-- Patient numbers behind pseudonyms, of the patients whom the login may see.
CREATE OR REPLACE FUNCTION identity.numbers_of(patient_ids text[], why text)
RETURNS TABLE (patient_id text, number text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    seen text[] := ARRAY(SELECT identity.visible(numbers_of.patient_ids));
BEGIN
    PERFORM identity.note_read(seen, why);
    RETURN QUERY SELECT p.patient_id, p.number FROM identity.patients AS p WHERE p.patient_id = ANY (seen);
END
$$;
REVOKE ALL ON FUNCTION identity.numbers_of(text[], text) FROM PUBLIC;
COMMENT ON FUNCTION identity.numbers_of(text[], text) IS 'Patient numbers behind pseudonyms; the audit keeps the read.';
