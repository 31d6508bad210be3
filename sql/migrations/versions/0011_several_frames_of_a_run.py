"""Features of several frames around the key frame."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column(
        "angiogram_features",
        sa.Column(
            "frames",
            sa.Integer(),
            server_default=sa.text("1"),
            nullable=False,
            comment="Consecutive frames around the key frame; 1: the key frame alone.",
        ),
    )
    op.alter_column(
        "angiogram_features", "versions", comment="Versions of each frame: 0 as it is, then augmented."
    )
    # Keys of features now name the content that they were computed from: all are computed again.
    op.execute("DELETE FROM angiogram_features")
