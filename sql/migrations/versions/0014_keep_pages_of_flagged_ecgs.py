"""Keep pages of flagged ECGs, with the figures of their deletion test."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_table(
        "ecg_pages",
        sa.Column("content_hash", sa.LargeBinary(), nullable=False, comment="ECG."),
        sa.Column("model_version", sa.Text(), nullable=False, comment="Model that flagged it."),
        sa.Column("object_key", sa.Text(), nullable=False, comment="Key of the page in the object store."),
        sa.Column("patient_id", sa.Text(), nullable=False, comment="Patient whom the page names."),
        sa.Column(
            "written_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Time of the writing.",
        ),
        sa.Column(
            "marked_drop",
            sa.Double(),
            comment="Drop of the log-odds without the parts that the model looked at; empty: none.",
        ),
        sa.Column(
            "random_drops",
            postgresql.ARRAY(sa.Double()),
            comment="Drops without random parts of equal size.",
        ),
        sa.ForeignKeyConstraint(
            ["content_hash"], ["ecgs.content_hash"], name=op.f("ecg_pages_content_hash_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["model_version"], ["models.version"], name=op.f("ecg_pages_model_version_fkey")
        ),
        sa.PrimaryKeyConstraint("content_hash", "model_version", name=op.f("ecg_pages_pkey")),
        comment="Pages of flagged ECGs in the store. One that names another patient than its ECG is removed.",
    )
