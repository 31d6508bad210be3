-- Nobody reviews a patient who has opted out: all flags of the patient are withdrawn, those with a review, too. The files
-- are looked at again, and refused: no promotion and no person brings back a flag of an ECG that is not scored.
CREATE OR REPLACE FUNCTION withdraw_opted_out(patient_ids text[], person text, reason text)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    changed bigint;
BEGIN
    PERFORM audit.act_for(person, reason);
    UPDATE flags AS f
    SET state = 'withdrawn', withdrawn_for = 'opted_out', reviewed_at = now(), reviewed_by = person,
        note = 'its patient has opted out'
    FROM ecgs AS e
    WHERE e.patient_id = ANY (patient_ids) AND f.content_hash = e.content_hash
      AND (f.state <> 'withdrawn' OR f.withdrawn_for = 'model_retired');
    GET DIAGNOSTICS changed = ROW_COUNT;
    UPDATE worklist
    SET state = 'pending', attempt = attempt + 1, run_id = NULL, lease_expires_at = NULL, changed_at = now()
    WHERE state = 'scored' AND object_id IN (SELECT id FROM objects WHERE patient_id = ANY (patient_ids));
    PERFORM audit.end_act();
    RETURN changed;
END
$$;
REVOKE ALL ON FUNCTION withdraw_opted_out(text[], text, text) FROM PUBLIC;
COMMENT ON FUNCTION withdraw_opted_out(text[], text, text) IS
    'Withdraw the flags of a patient who has opted out, and write the audit. Returns their number.';
