-- Remove ECGs with all that was made of them. SECURITY DEFINER: only the owner of the histories can open them, and no role
-- needs the right to delete rows. The triggers are away in this transaction only; ALTER TABLE keeps other writers of the
-- two tables out.
CREATE OR REPLACE FUNCTION forget_ecgs(hashes bytea[], person text, reason text)
RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    counts jsonb = '{}';
    numbers bigint[] = ARRAY(SELECT id FROM ecgs WHERE content_hash = ANY (hashes));
    name text;
    gone bigint;
BEGIN
    PERFORM audit.act_for(person, reason);
    -- The flags first, as a review does: of a review and this the second waits.
    PERFORM FROM flags WHERE content_hash = ANY (hashes) ORDER BY id FOR UPDATE;
    FOREACH name IN ARRAY ARRAY['reviews', 'snoozes'] LOOP
        EXECUTE format('SELECT count(*) FROM %I WHERE ecg_id = ANY ($1)', name) INTO gone USING numbers;
        IF gone > 0 THEN
            EXECUTE format('ALTER TABLE %I DISABLE TRIGGER %I', name, name || '_append_only');
            EXECUTE format('DELETE FROM %I WHERE ecg_id = ANY ($1)', name) USING numbers;
            GET DIAGNOSTICS gone = ROW_COUNT;
            EXECUTE format('ALTER TABLE %I ENABLE TRIGGER %I', name, name || '_append_only');
        END IF;
        counts = counts || jsonb_build_object(name, gone);
    END LOOP;

    DELETE FROM flag_exports USING flags WHERE flags.id = flag_id AND content_hash = ANY (hashes);
    GET DIAGNOSTICS gone = ROW_COUNT;
    counts = counts || jsonb_build_object('flag_exports', gone);
    DELETE FROM ecg_moments USING ecgs
    WHERE content_hash = ANY (hashes)
      AND moment = hashtextextended(patient_id, extract(epoch FROM acquired_at)::bigint);
    FOREACH name IN ARRAY ARRAY['flags', 'scores', 'ecg_embeddings', 'ecg_measurements', 'ecg_pages',
                                'verification_sample', 'ecg_study_pairs', 'ecgs'] LOOP
        EXECUTE format('DELETE FROM %I WHERE content_hash = ANY ($1)', name) USING hashes;
        GET DIAGNOSTICS gone = ROW_COUNT;
        counts = counts || jsonb_build_object(name, gone);
    END LOOP;
    UPDATE objects SET content_hash = NULL, patient_id = NULL WHERE content_hash = ANY (hashes);
    PERFORM audit.end_act();
    RETURN counts;
END
$$;
REVOKE ALL ON FUNCTION forget_ecgs(bytea[], text, text) FROM PUBLIC;
COMMENT ON FUNCTION forget_ecgs(bytea[], text, text) IS
    'Remove ECGs with all that was made of them, reviews too. Returns the number of rows by table.';
