-- Pseudonym of a patient number, present or former, and of the number that replaces it.
CREATE OR REPLACE FUNCTION identity.find(number text, why text) RETURNS TABLE (patient_id text, present_id text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    seen text[] := ARRAY(SELECT identity.visible(ARRAY(
        SELECT p.patient_id FROM identity.patients AS p WHERE p.number = find.number)));
BEGIN
    PERFORM identity.note_read(seen, why);
    RETURN QUERY
    SELECT named, coalesce(a.present_id, named)
    FROM unnest(seen) AS named LEFT JOIN public.patient_aliases AS a ON a.patient_id = named;
END
$$;
REVOKE ALL ON FUNCTION identity.find(text, text) FROM PUBLIC;
COMMENT ON FUNCTION identity.find(text, text) IS 'Pseudonym of a patient number; the audit keeps the search.';
