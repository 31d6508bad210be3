"""Only the decisive target raises flags; a person may snooze a patient."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

WITHDRAWALS = (
    "'replaced', 'patient_conflict', 'patient_unclear', 'model_retired', 'by_person', 'not_decisive'"
)
# Until now each target raised flags of its own. No manifest before this version names another decisive one.
NOT_DECISIVE = """
UPDATE flags
SET state = 'withdrawn', withdrawn_for = 'not_decisive', reviewed_at = now(), reviewed_by = 'stence',
    note = 'its target does not decide who is on the list'
WHERE target <> 'stenosis_70' AND state IN ('open', 'withdrawn')
"""
# SECURITY DEFINER as review_ecg: a reviewer needs no right to the tables.
SNOOZE = """
CREATE TRIGGER snoozes_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON snoozes
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
REVOKE ALL ON snoozes FROM PUBLIC;
CREATE FUNCTION snooze_patient(ecg_id bigint, until date, snoozed_by text, reason text)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    snooze bigint;
BEGIN
    IF snooze_patient.until IS NULL OR NOT isfinite(snooze_patient.until) THEN
        RAISE invalid_parameter_value USING MESSAGE = 'a snooze has a last day';
    END IF;
    IF coalesce(btrim(snooze_patient.snoozed_by), '') = ''
        OR coalesce(btrim(snooze_patient.reason), '') = '' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'a snooze says who decided, and why';
    END IF;
    IF NOT EXISTS (SELECT FROM ecgs WHERE id = snooze_patient.ecg_id) THEN
        RAISE no_data_found USING MESSAGE = format('there is no ECG %s', snooze_patient.ecg_id);
    END IF;
    INSERT INTO snoozes (ecg_id, until, snoozed_by, reason)
    VALUES (snooze_patient.ecg_id, snooze_patient.until, btrim(snooze_patient.snoozed_by),
            snooze_patient.reason)
    RETURNING id INTO snooze;
    RETURN snooze;
END
$$;
REVOKE ALL ON FUNCTION snooze_patient(bigint, date, text, text) FROM PUBLIC;
COMMENT ON FUNCTION snooze_patient(bigint, date, text, text) IS
    'Take the patient of an ECG off the list up to and including a day. Returns the number of the snooze.';
"""


def upgrade() -> None:
    op.drop_constraint(op.f("flags_withdrawn_for_check"), "flags")
    op.create_check_constraint(
        op.f("flags_withdrawn_for_check"), "flags", f"withdrawn_for IN ({WITHDRAWALS})"
    )
    op.execute(NOT_DECISIVE)
    op.create_index(
        "ecgs_patient_time_idx", "ecgs", ["patient_id", sa.text("coalesce(acquired_at, first_read_at)"), "id"]
    )
    op.drop_index(op.f("ecgs_patient_id_idx"), "ecgs")
    op.create_table(
        "snoozes",
        sa.Column(
            "id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Order of the snoozes."
        ),
        sa.Column("ecg_id", sa.BigInteger(), nullable=False, comment="An ECG of the patient."),
        sa.Column("until", sa.Date(), nullable=False, comment="Last day off the list; a past day ends it."),
        sa.Column("snoozed_by", sa.Text(), nullable=False, comment="Name of the person who decided."),
        sa.Column("reason", sa.Text(), nullable=False, comment="Reason."),
        sa.Column(
            "snoozed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When.",
        ),
        sa.ForeignKeyConstraint(["ecg_id"], ["ecgs.id"], name=op.f("snoozes_ecg_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("snoozes_pkey")),
        comment="Append-only: patients off the list until a day; the newest of a patient's ECGs holds.",
    )
    op.create_index(op.f("snoozes_ecg_id_idx"), "snoozes", ["ecg_id"])
    op.execute(SNOOZE)
