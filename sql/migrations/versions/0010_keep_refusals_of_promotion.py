"""Keep why shadows were not promoted by themselves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "promotion_refusals",
        sa.Column("version", sa.Text(), nullable=False, comment="Model in shadow."),
        sa.Column("result", sa.Text(), nullable=False, comment="failed or cannot tell."),
        sa.Column(
            "checks",
            postgresql.ARRAY(sa.Text()),
            nullable=False,
            comment="Checks of the shadow that made the result.",
        ),
        sa.Column("reason", sa.Text(), nullable=False, comment="Findings of these checks at the last look."),
        sa.Column("looks", sa.BigInteger(), server_default="1", nullable=False, comment="Number of looks."),
        sa.Column(
            "first_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Time of the first look with this result.",
        ),
        sa.Column(
            "last_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Time of the last look with this result.",
        ),
        sa.CheckConstraint(
            "result IN ('failed', 'cannot tell')", name=op.f("promotion_refusals_result_check")
        ),
        sa.ForeignKeyConstraint(
            ["version"], ["models.version"], name=op.f("promotion_refusals_version_fkey")
        ),
        sa.PrimaryKeyConstraint("version", "result", "checks", name=op.f("promotion_refusals_pkey")),
        comment="Shadows that were due and not promoted by themselves; a repeated result is one row.",
    )
