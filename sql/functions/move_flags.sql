-- Flags are the patient's to whom the ECG belongs, in every state.
CREATE OR REPLACE FUNCTION move_flags(ids bigint[], person text, reason text)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    changed bigint;
BEGIN
    PERFORM audit.act_for(person, reason);
    UPDATE flags AS f SET patient_id = e.patient_id
    FROM ecgs AS e
    WHERE f.id = ANY (ids) AND e.content_hash = f.content_hash AND e.patient_id <> f.patient_id;
    GET DIAGNOSTICS changed = ROW_COUNT;
    PERFORM audit.end_act();
    RETURN changed;
END
$$;
REVOKE ALL ON FUNCTION move_flags(bigint[], text, text) FROM PUBLIC;
COMMENT ON FUNCTION move_flags(bigint[], text, text) IS
    'Give flags the patients of their ECGs, and write the audit. Returns the number of flags that changed.';
