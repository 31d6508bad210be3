"""Keep what was sent to other systems about flags."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_table(
        "flag_exports",
        sa.Column(
            "id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Number of the message."
        ),
        sa.Column("flag_id", sa.BigInteger(), nullable=False, comment="Flag."),
        sa.Column("format", sa.Text(), nullable=False, comment="fhir or csv."),
        sa.Column(
            "destination",
            sa.Text(),
            nullable=False,
            comment="URL of the server, or of the folder in the store.",
        ),
        sa.Column("status", sa.Text(), nullable=False, comment="final, corrected or entered-in-error."),
        sa.Column(
            "patient_id",
            sa.Text(),
            nullable=False,
            comment="Patient of the flag, as the message names them.",
        ),
        sa.Column(
            "planned_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Time from which the message waited to be sent.",
        ),
        sa.Column(
            "sent_at",
            sa.DateTime(timezone=True),
            comment="Time at which the destination confirmed the message; empty: not sent yet.",
        ),
        sa.Column(
            "resource", sa.Text(), comment="RiskAssessment on the server, or key of the file in the store."
        ),
        sa.Column("etag", sa.Text(), comment="Version of the RiskAssessment on the server."),
        sa.Column("refusal", sa.Text(), comment="Why the server refused the message at the last try."),
        sa.CheckConstraint("format IN ('fhir', 'csv')", name=op.f("flag_exports_format_check")),
        sa.CheckConstraint(
            "status IN ('final', 'corrected', 'entered-in-error')", name=op.f("flag_exports_status_check")
        ),
        sa.ForeignKeyConstraint(["flag_id"], ["flags.id"], name=op.f("flag_exports_flag_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("flag_exports_pkey")),
        comment="Messages about flags to other systems; one is planned before it is sent.",
    )
    _create_indexes()
    op.alter_column(
        "installation", "name", comment="timezone, practice, verification_seed, or pseudonym_key."
    )


def _create_indexes() -> None:
    op.create_index("flag_exports_latest_idx", "flag_exports", ["format", "destination", "flag_id", "id"])
    op.create_index(
        "flag_exports_waiting_idx",
        "flag_exports",
        ["format", "destination", "flag_id"],
        unique=True,
        postgresql_where=sa.text("sent_at IS NULL"),
    )
    op.create_index("flag_exports_flag_id_idx", "flag_exports", ["flag_id"])
