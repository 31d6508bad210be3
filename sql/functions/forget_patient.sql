-- Remove all rows about the patient with these pseudonyms, in one transaction, and record it. A manifest row stays without
-- its patient: a second row that names another patient is still a contradiction. A file of another patient with the same
-- ECG is read again, unless a person had dismissed it.
CREATE OR REPLACE FUNCTION forget_patient(
    patient_ids text[], subject text, person text, reason text, detail jsonb
)
RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    counts jsonb;
    hashes bytea[] = ARRAY(SELECT content_hash FROM ecgs WHERE patient_id = ANY (patient_ids));
    records text[] = ARRAY(
        SELECT DISTINCT record_key FROM manifest_rows WHERE patient_id = ANY (patient_ids)
    );
    angiograms bigint[] = ARRAY(SELECT object_id FROM angiogram_views WHERE patient_id = ANY (patient_ids));
    files bigint[];
    ambiguous bytea[];
    name text;
    gone bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('opted_out'));
    files = angiograms || ARRAY(
        SELECT id FROM objects WHERE patient_id = ANY (patient_ids)
        UNION
        SELECT o.id FROM objects AS o JOIN manifest_records AS m USING (record_key)
        WHERE o.kind = 'ecg' AND m.record_key = ANY (records) AND m.patient_id = ANY (patient_ids)
    );
    ambiguous = hashes || ARRAY(
        SELECT content_hash FROM objects WHERE id = ANY (files) AND content_hash IS NOT NULL
    );
    UPDATE worklist SET state = 'pending', attempt = attempt + 1, run_id = NULL, lease_expires_at = NULL,
                        changed_at = now()
    WHERE object_id IN (SELECT object_id FROM quarantine
                        WHERE content_hash = ANY (ambiguous) AND state = 'open' AND object_id <> ALL (files));
    DELETE FROM quarantine WHERE content_hash = ANY (ambiguous) AND state <> 'dismissed';
    UPDATE quarantine SET content_hash = NULL WHERE content_hash = ANY (ambiguous);

    counts = forget_ecgs(hashes, person, reason);
    UPDATE objects SET content_hash = NULL, patient_id = NULL WHERE id = ANY (files);
    DELETE FROM quarantine WHERE object_id = ANY (files);
    INSERT INTO quarantine (object_id, etag, reason, detail, state)
    SELECT id, etag, 'opted_out', 'its patient has opted out; nothing to do', 'open'
    FROM objects WHERE id = ANY (files) ORDER BY id;
    GET DIAGNOSTICS gone = ROW_COUNT;
    counts = counts || jsonb_build_object('files that stay in the store', gone);
    UPDATE worklist SET state = 'quarantined', attempt = attempt + 1, run_id = NULL, lease_expires_at = NULL,
                        changed_at = now()
    WHERE object_id = ANY (files) AND state <> 'quarantined';

    UPDATE manifest_rows SET patient_id = '\opted-out', study_id = NULL, acquired_at = NULL,
                             local_timezone = NULL, site = NULL, indication = NULL
    WHERE patient_id = ANY (patient_ids);
    GET DIAGNOSTICS gone = ROW_COUNT;
    counts = counts || jsonb_build_object('manifest_rows', gone);
    UPDATE manifest_records
    SET patient_id = CASE WHEN patient_id = ANY (patient_ids) THEN '\opted-out' ELSE patient_id END,
        study_id = NULL, acquired_at = NULL, local_timezone = NULL, site = NULL, indication = NULL
    WHERE record_key = ANY (records);

    DELETE FROM angiogram_features WHERE object_id = ANY (angiograms);
    GET DIAGNOSTICS gone = ROW_COUNT;
    counts = counts || jsonb_build_object('angiogram_features', gone);
    UPDATE angiogram_views
    SET state = 'quarantined', sop_instance_uid = NULL, study_instance_uid = NULL, accession_number = NULL,
        dicom_study_id = NULL, patient_id = NULL, acquired_at = NULL, local_timezone = NULL,
        primary_angle = NULL, secondary_angle = NULL, frames = NULL, key_frame = NULL, study_id = NULL,
        changed_at = now()
    WHERE object_id = ANY (angiograms);
    DELETE FROM identity.patients WHERE patient_id = ANY (patient_ids);
    FOREACH name IN ARRAY ARRAY['cath_studies', 'patient_aliases', 'patient_splits'] LOOP
        EXECUTE format('DELETE FROM %I WHERE patient_id = ANY ($1)', name) USING patient_ids;
        GET DIAGNOSTICS gone = ROW_COUNT;
        counts = counts || jsonb_build_object(name, gone);
    END LOOP;
    DELETE FROM patient_merges WHERE former_id = ANY (patient_ids) OR present_id = ANY (patient_ids);
    GET DIAGNOSTICS gone = ROW_COUNT;
    counts = counts || jsonb_build_object('patient_merges', gone);
    detail = detail || jsonb_build_object('rows', counts);
    PERFORM audit.record('patient.forgotten', subject, person, reason, detail);
    RETURN counts;
END
$$;
REVOKE ALL ON FUNCTION forget_patient(text[], text, text, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION forget_patient(text[], text, text, text, jsonb) IS
    'Remove all rows about the patient with these pseudonyms, and record it. Returns their count by table.';
