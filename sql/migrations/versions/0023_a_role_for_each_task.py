"""Give each task a role of its own, and show a clinician the patients of their sites alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"

# Roles are the server's: another database of it may make them at the same moment, or a DBA made them before.
ROLES = """
DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['stence_owner', 'stence_writer', 'stence_reader', 'stence_clinician',
                                'stence_approver']
    LOOP
        CONTINUE WHEN to_regrole(role) IS NOT NULL;
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END LOOP;
    FOREACH role IN ARRAY ARRAY['stence_owner', 'stence_writer', 'stence_approver']
    LOOP
        IF NOT pg_has_role(current_user, role, 'USAGE') THEN
            EXECUTE format('GRANT %I TO %I', role, current_user);
        END IF;
        IF NOT has_schema_privilege(role, 'public', 'USAGE') THEN
            EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', role);
        END IF;
        IF NOT has_database_privilege(role, current_database(), 'TEMPORARY') THEN
            EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO %I', current_database(), role);
        END IF;
    END LOOP;
    FOREACH role IN ARRAY ARRAY['stence_reader', 'stence_clinician']
    LOOP
        IF NOT has_schema_privilege(role, 'public', 'USAGE') THEN
            EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', role);
        END IF;
    END LOOP;
    IF NOT has_schema_privilege('stence_owner', 'public', 'CREATE') THEN
        GRANT CREATE ON SCHEMA public TO stence_owner;
    END IF;
    IF NOT has_database_privilege('stence_owner', current_database(), 'CREATE') THEN
        EXECUTE format('GRANT CREATE ON DATABASE %I TO stence_owner', current_database());
    END IF;
    REVOKE CREATE ON SCHEMA public FROM PUBLIC;
END
$$
"""
# What the login of earlier versions owned. Sequences of columns follow their table; extensions stay.
OWNERSHIP = """
DO $$
DECLARE
    former oid := (SELECT relowner FROM pg_class WHERE oid = 'alembic_version'::regclass);
    command text;
BEGIN
    ALTER SCHEMA audit OWNER TO stence_owner;
    FOR command IN
        SELECT format('ALTER TABLE %s OWNER TO stence_owner', c.oid::regclass)
        FROM pg_class AS c
        WHERE c.relkind IN ('r', 'S') AND c.relowner = former
          AND c.relnamespace IN (to_regnamespace('public'), to_regnamespace('audit'))
          AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid
                                                  AND deptype IN ('a', 'i', 'e'))
        UNION ALL
        SELECT format('ALTER ROUTINE %s OWNER TO stence_owner', p.oid::regprocedure)
        FROM pg_proc AS p
        WHERE p.proowner = former
          AND p.pronamespace IN (to_regnamespace('public'), to_regnamespace('audit'))
          AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid
                                                  AND deptype = 'e')
    LOOP
        EXECUTE command;
    END LOOP;
END
$$
"""
# The views act with the owner's rights, which no policy limits, and show each login its own patients.
SIGHT = """
CREATE SCHEMA access;
COMMENT ON SCHEMA access IS 'Which rows a clinician sees.';
CREATE VIEW access.patients WITH (security_barrier = true) AS
SELECT patient_id
FROM public.ecgs
WHERE site = ANY (ARRAY(SELECT site FROM public.site_members WHERE login = CAST(session_user AS text)));
COMMENT ON VIEW access.patients IS 'Patients with an ECG of a site of the login, once for each.';
COMMENT ON COLUMN access.patients.patient_id IS 'Patient, as in ecgs.';
CREATE VIEW access.ecgs WITH (security_barrier = true) AS
SELECT ecgs.id, ecgs.content_hash
FROM public.ecgs
WHERE (SELECT true FROM access.patients AS seen WHERE seen.patient_id = ecgs.patient_id LIMIT 1) IS NOT NULL;
COMMENT ON VIEW access.ecgs IS 'All ECGs of these patients: the newest one decides who is on the list.';
COMMENT ON COLUMN access.ecgs.id IS 'Number of the ECG.';
COMMENT ON COLUMN access.ecgs.content_hash IS 'SHA-256 of signal and sampling rate.';
GRANT USAGE ON SCHEMA access TO stence_clinician;
"""
PATIENT = "SELECT true FROM access.patients AS seen WHERE seen.patient_id = {table}.{column} LIMIT 1"
ECG = "SELECT true FROM access.ecgs AS seen WHERE seen.{of} = {table}.{column} LIMIT 1"
VISIBLE = {
    "ecgs": PATIENT.format(table="ecgs", column="patient_id"),
    "flags": PATIENT.format(table="flags", column="patient_id"),
    "cath_studies": PATIENT.format(table="cath_studies", column="patient_id"),
    "patient_aliases": PATIENT.format(table="patient_aliases", column="present_id"),
    "patient_merges": PATIENT.format(table="patient_merges", column="present_id"),
    "scores": ECG.format(of="content_hash", table="scores", column="content_hash"),
    "objects": ECG.format(of="content_hash", table="objects", column="content_hash"),
    "ecg_pages": ECG.format(of="content_hash", table="ecg_pages", column="content_hash"),
    "reviews": ECG.format(of="id", table="reviews", column="ecg_id"),
    "snoozes": ECG.format(of="id", table="snoozes", column="ecg_id"),
    "worklist": "SELECT true FROM objects WHERE objects.id = worklist.object_id",
    "flag_exports": "SELECT true FROM flags WHERE flags.id = flag_exports.flag_id",
}
"""Tables that a clinician reads, and a subquery that finds something for the rows of it that they see.

Other roles see all that they are granted. The subquery stands in ``IS NOT NULL``, not in ``EXISTS``:
Postgres may plan that as a hash of all patients, and takes it for a condition that few rows meet, so that it
would not read the list in order.
"""
# A version never changes but for its state, and the thresholds are in its manifest.
APPROVAL = """
CREATE FUNCTION require_approver() RETURNS void
LANGUAGE plpgsql STABLE SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT pg_has_role(current_user, 'stence_approver', 'USAGE') THEN
        RAISE insufficient_privilege USING MESSAGE =
            'only stence_approver changes the champion, its numeric form, or the contents of a model version';
    END IF;
END
$$;
COMMENT ON FUNCTION require_approver() IS 'Refuse roles that do not approve.';
CREATE FUNCTION protect_models() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.state = 'champion' THEN
        PERFORM require_approver();
    ELSIF TG_OP = 'UPDATE' AND (OLD.state = 'champion'
                                OR to_jsonb(OLD) - 'state' IS DISTINCT FROM to_jsonb(NEW) - 'state') THEN
        PERFORM require_approver();
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION protect_models() IS 'Leaves the champion and the contents of versions to approvers.';
CREATE TRIGGER models_protected BEFORE INSERT OR UPDATE ON models
    FOR EACH ROW EXECUTE FUNCTION protect_models();
CREATE FUNCTION protect_forms() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM models WHERE version = NEW.model_version AND state = 'champion') THEN
        PERFORM require_approver();
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION protect_forms() IS 'Leaves the numeric form of the champion to approvers.';
CREATE TRIGGER model_forms_protected BEFORE INSERT ON model_forms
    FOR EACH ROW EXECUTE FUNCTION protect_forms();
"""
# Only an owner makes an index.
SIMILAR = """
CREATE FUNCTION index_similar_studies() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    CREATE INDEX IF NOT EXISTS study_embeddings_nearest_idx ON study_embeddings
        USING hnsw ((CAST(embedding AS halfvec(256))) halfvec_cosine_ops);
END
$$;
COMMENT ON FUNCTION index_similar_studies() IS
    'Create the index of training studies where it is missing; needs pgvector.';
REVOKE ALL ON FUNCTION index_similar_studies() FROM PUBLIC;
"""
LOGIN = "Login that Postgres checked; empty: an earlier version did not keep it."


def upgrade() -> None:
    op.execute(ROLES)
    op.execute("SET CONSTRAINTS ALL IMMEDIATE")  # no table changes hands while its deferred triggers wait
    op.execute(OWNERSHIP)
    op.execute("SET LOCAL ROLE stence_owner")
    _create_tables()
    for table in ("reviews", "snoozes"):
        op.add_column(table, sa.Column("login", sa.Text(), comment=LOGIN))
    for part in (SIGHT, APPROVAL, SIMILAR):
        op.execute(part)
    _include_sites()
    for table, visible in VISIBLE.items():
        _limit_rows(table, visible)


def _create_tables() -> None:
    op.create_table(
        "site_members",
        sa.Column("login", sa.Text(), nullable=False, comment="Login of a clinician."),
        sa.Column("site", sa.Text(), nullable=False, comment="Site, as in ecgs."),
        sa.Column("added_by", sa.Text(), nullable=False, comment="Person who gave access."),
        sa.Column("why", sa.Text(), nullable=False, comment="Reason."),
        sa.Column(
            "added_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When.",
        ),
        sa.PrimaryKeyConstraint("login", "site", name=op.f("site_members_pkey")),
        comment="Sites whose patients a clinician sees. stence access changes this table.",
    )
    op.create_table(
        "schema_grants",
        sa.Column("name", sa.Text(), nullable=False, comment="Name of the role."),
        sa.Column("sha256", sa.Text(), nullable=False, comment="SHA-256 of the role's file."),
        sa.PrimaryKeyConstraint("name", name=op.f("schema_grants_pkey")),
        comment="The roles of sql/grants as their rights were last granted.",
    )


def _include_sites() -> None:
    """Answer from the index alone whose patient a row is: asked for every row for a clinician."""
    op.drop_index("ecgs_patient_time_idx", "ecgs")
    op.create_index(
        "ecgs_patient_time_idx",
        "ecgs",
        ["patient_id", sa.text("coalesce(acquired_at, first_read_at)"), "id"],
        postgresql_include=["site"],
    )


def _limit_rows(table: str, visible: str) -> None:
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY all_rows ON {table} TO stence_writer, stence_reader, stence_approver USING (true)"
    )
    op.execute(
        f"CREATE POLICY own_sites ON {table} FOR SELECT TO stence_clinician USING (({visible}) IS NOT NULL)"
    )
