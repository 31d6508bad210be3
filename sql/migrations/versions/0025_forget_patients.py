"""Forget patients and old rows, and keep a list of patients of whom nothing is taken up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0022"

WITHDRAWALS = (
    "'replaced', 'patient_conflict', 'patient_unclear', 'model_retired', 'by_person', 'not_decisive', "
    "'opted_out'"
)
# Two random UUIDs have 244 random bits. With key and number one can tell whether the patient is on the list.
OPT_OUT_KEY = """
INSERT INTO installation (name, value)
VALUES ('opt_out_key', replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''))
"""
# SECURITY DEFINER: only the owner of the histories can open them, and no role needs the right to delete rows.
# The triggers are away in this transaction only; ALTER TABLE keeps other writers of the two tables out.
FORGET_ECGS = """
CREATE FUNCTION forget_ecgs(hashes bytea[])
RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    counts jsonb = '{}';
    numbers bigint[] = ARRAY(SELECT id FROM ecgs WHERE content_hash = ANY (hashes));
    name text;
    gone bigint;
BEGIN
    ALTER TABLE reviews DISABLE TRIGGER reviews_append_only;
    ALTER TABLE snoozes DISABLE TRIGGER snoozes_append_only;
    FOREACH name IN ARRAY ARRAY['reviews', 'snoozes'] LOOP
        EXECUTE format('DELETE FROM %I WHERE ecg_id = ANY ($1)', name) USING numbers;
        GET DIAGNOSTICS gone = ROW_COUNT;
        counts = counts || jsonb_build_object(name, gone);
    END LOOP;
    ALTER TABLE reviews ENABLE TRIGGER reviews_append_only;
    ALTER TABLE snoozes ENABLE TRIGGER snoozes_append_only;

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
    RETURN counts;
END
$$;
REVOKE ALL ON FUNCTION forget_ecgs(bytea[]) FROM PUBLIC;
COMMENT ON FUNCTION forget_ecgs(bytea[]) IS
    'Remove ECGs with all that was made of them, reviews too. Returns the number of rows by table.';
"""
# A manifest row stays without its patient: a second row that names another patient is still a contradiction.
# A file of another patient with the same ECG is read again, unless a person had dismissed it.
FORGET_PATIENT = r"""
CREATE FUNCTION forget_patient(patient_ids text[], subject text, person text, reason text, detail jsonb)
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

    counts = forget_ecgs(hashes);
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
    FOREACH name IN ARRAY ARRAY['cath_studies', 'patient_aliases', 'patient_splits'] LOOP
        EXECUTE format('DELETE FROM %I WHERE patient_id = ANY ($1)', name) USING patient_ids;
        GET DIAGNOSTICS gone = ROW_COUNT;
        counts = counts || jsonb_build_object(name, gone);
    END LOOP;
    DELETE FROM patient_merges WHERE former_id = ANY (patient_ids) OR present_id = ANY (patient_ids);
    GET DIAGNOSTICS gone = ROW_COUNT;
    counts = counts || jsonb_build_object('patient_merges', gone);
    detail = detail || jsonb_build_object('rows', counts);
    PERFORM audit.record('patient forgotten', subject, person, reason, detail);
    RETURN counts;
END
$$;
REVOKE ALL ON FUNCTION forget_patient(text[], text, text, text, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION forget_patient(text[], text, text, text, jsonb) IS
    'Remove all rows about the patient with these numbers, and record it. Returns their count by table.';
"""


def upgrade() -> None:
    op.create_table(
        "opted_out",
        sa.Column("digest", sa.LargeBinary(), nullable=False, comment="Keyed hash of a patient number."),
        sa.Column(
            "opted_out_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When.",
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("opted_out_pkey")),
        comment="Patients of whom nothing is taken up, by keyed hashes of all their numbers.",
    )
    op.alter_column(
        "installation",
        "name",
        comment="timezone, practice, verification_seed, pseudonym_key or opt_out_key.",
    )
    op.drop_constraint(op.f("flags_withdrawn_for_check"), "flags")
    op.create_check_constraint(
        op.f("flags_withdrawn_for_check"), "flags", f"withdrawn_for IN ({WITHDRAWALS})"
    )
    for statement in (OPT_OUT_KEY, FORGET_ECGS, FORGET_PATIENT):
        op.execute(statement)
