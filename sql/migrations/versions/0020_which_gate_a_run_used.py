"""Keep the version of the quality check of each run, so that a verdict can be traced to its limits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Add the column; runs of earlier releases have none."""
    op.add_column(
        "runs",
        sa.Column(
            "gate_version",
            sa.Text(),
            comment="Version of the quality check, with a digest of limits that are not the defaults.",
        ),
    )
