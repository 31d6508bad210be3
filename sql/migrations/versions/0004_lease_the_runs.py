"""Lease the runs: a row of a run says until when its process is taken for alive."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

TABLES = ("runs", "monitor_runs", "training_runs")
COMMENT = "Until when it is taken for alive; renewed while it runs, empty after its end."

# Nobody of this version can be at work yet: what is running ended without a word, or at the upgrade.
CLOSE = """
UPDATE {table} SET state = 'interrupted', error = 'its process ended without a word', finished_at = now()
WHERE state = 'running'
"""


def upgrade() -> None:
    for table in TABLES:
        column = sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True, comment=COMMENT)
        op.add_column(table, column)
        op.execute(CLOSE.format(table=table))
    op.create_index(
        "training_runs_one_running",
        "training_runs",
        ["state"],
        unique=True,
        postgresql_where=sa.text("state = 'running'"),
    )
