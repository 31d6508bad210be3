"""Keep the validations of frozen models; a split may depend on a training's options."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "validations",
        sa.Column("id", sa.UUID(), nullable=False, comment="Number of the validation."),
        sa.Column(
            "model_version",
            sa.Text(),
            nullable=False,
            comment="Model, measured as it is: nothing of it was fitted again.",
        ),
        sa.Column(
            "ran_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Time of the validation.",
        ),
        sa.Column(
            "window_start",
            sa.DateTime(timezone=True),
            comment="Studies from here on; empty: from the first study on.",
        ),
        sa.Column(
            "window_end",
            sa.DateTime(timezone=True),
            comment="Studies before this time; empty: up to the last study.",
        ),
        sa.Column(
            "sites",
            postgresql.ARRAY(sa.Text()),
            nullable=False,
            comment="Only ECGs of these sites; empty: all sites.",
        ),
        sa.Column("ecgs", sa.BigInteger(), nullable=False, comment="ECGs in the figures."),
        sa.Column("patients", sa.BigInteger(), nullable=False, comment="Patients in the figures."),
        sa.Column(
            "figures",
            postgresql.JSONB(),
            nullable=False,
            comment="The whole report as JSON; names no patient.",
        ),
        sa.Column(
            "report_key",
            sa.Text(),
            nullable=False,
            comment="Key of the report, an HTML page, in the store.",
        ),
        sa.Column(
            "files",
            postgresql.JSONB(),
            nullable=False,
            comment="Key and SHA-256 of each file of the report.",
        ),
        sa.Column("code_version", sa.Text(), nullable=False, comment="Version of stence."),
        sa.ForeignKeyConstraint(
            ["model_version"], ["models.version"], name=op.f("validations_model_version_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("validations_pkey")),
        comment="Validations of frozen models on patients that they did not learn from.",
    )
    op.create_index(op.f("validations_model_version_idx"), "validations", ["model_version"])
