-- The list with patient numbers, highest probability first, of the patients whom the login may see.
CREATE OR REPLACE FUNCTION identity.flagged_patients(why text)
RETURNS TABLE (number text, patient_id text, probability double precision, ecg_id bigint, acquired_at timestamptz,
               site text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    seen text[] := ARRAY(SELECT identity.visible(ARRAY(SELECT f.patient_id FROM public.flagged_patients AS f)));
BEGIN
    PERFORM identity.note_read(seen, why);
    RETURN QUERY
    SELECT p.number, f.patient_id, f.probability, f.ecg_id, f.acquired_at, f.site
    FROM public.flagged_patients AS f JOIN identity.patients AS p ON p.patient_id = f.patient_id
    WHERE f.patient_id = ANY (seen)
    ORDER BY f.probability DESC;
END
$$;
REVOKE ALL ON FUNCTION identity.flagged_patients(text) FROM PUBLIC;
COMMENT ON FUNCTION identity.flagged_patients(text) IS 'The list with patient numbers; the audit keeps the read.';
