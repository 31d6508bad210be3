-- Record a read of the map. The server's log keeps it, too, in case the reader rolls the transaction back.
CREATE OR REPLACE FUNCTION identity.note_read(patient_ids text[], why text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF coalesce(btrim(why), '') = '' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'who sees patient numbers says why';
    END IF;
    PERFORM audit.record('patients.identified', 'identity.patients', CAST(session_user AS text), why,
                         jsonb_build_object('count', cardinality(patient_ids), 'patients', patient_ids));
    RAISE LOG 'stence: % sees % patient numbers', session_user, cardinality(patient_ids);
END
$$;
REVOKE ALL ON FUNCTION identity.note_read(text[], text) FROM PUBLIC;
COMMENT ON FUNCTION identity.note_read(text[], text) IS 'Record a read of the map; for the functions that read it.';
