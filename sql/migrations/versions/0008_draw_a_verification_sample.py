"""Draw a verification sample: patients without a flag, at random, with a known probability."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "verification_draws",
        sa.Column(
            "id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Order of the draws."
        ),
        sa.Column(
            "drawn_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Time of the draw.",
        ),
        sa.Column("model_version", sa.Text(), nullable=False, comment="Model of the scores."),
        sa.Column(
            "share", sa.Double(), nullable=False, comment="Probability of a patient to be drawn, 0 to 1."
        ),
        sa.Column(
            "scored_from",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="The ECGs were scored at or after this time.",
        ),
        sa.Column(
            "scored_until",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="The ECGs were scored before this time.",
        ),
        sa.Column(
            "eligible",
            sa.BigInteger(),
            nullable=False,
            comment="Patients without a flag that could be drawn.",
        ),
        sa.Column("drawn", sa.BigInteger(), nullable=False, comment="Patients that were drawn."),
        sa.ForeignKeyConstraint(
            ["model_version"], ["models.version"], name=op.f("verification_draws_model_version_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("verification_draws_pkey")),
        comment="Draws of the verification sample: from which ECGs, and with which probability.",
    )
    op.create_table(
        "verification_sample",
        sa.Column("content_hash", sa.LargeBinary(), nullable=False, comment="ECG."),
        sa.Column("draw_id", sa.BigInteger(), nullable=False, comment="Draw of the patient."),
        sa.Column(
            "month",
            sa.Text(),
            nullable=False,
            comment="Month of the ECG (UTC); a patient is drawn once a month.",
        ),
        sa.Column(
            "chance",
            sa.Double(),
            nullable=False,
            comment="Probability of the patient's inclusion, 0 to 1.",
        ),
        sa.ForeignKeyConstraint(
            ["content_hash"], ["ecgs.content_hash"], name=op.f("verification_sample_content_hash_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["draw_id"], ["verification_draws.id"], name=op.f("verification_sample_draw_id_fkey")
        ),
        sa.PrimaryKeyConstraint("content_hash", name=op.f("verification_sample_pkey")),
        comment="Patients without a flag, drawn at random and proposed for an examination, each by one ECG.",
    )
    op.create_index(op.f("verification_sample_draw_id_idx"), "verification_sample", ["draw_id"])
    op.alter_column("installation", "name", comment="timezone, practice, or verification_seed.")
