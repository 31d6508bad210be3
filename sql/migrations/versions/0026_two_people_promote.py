"""Requests and approvals of promotions, by two people where the settings say so."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"

HISTORY = """
CREATE TRIGGER promotion_requests_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON promotion_requests
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
REVOKE ALL ON promotion_requests FROM PUBLIC;
"""


def upgrade() -> None:
    op.create_table(
        "promotion_requests",
        sa.Column(
            "id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Order of the events."
        ),
        sa.Column("version", sa.Text(), nullable=False, comment="Model version."),
        sa.Column(
            "event", sa.Text(), nullable=False, comment="requested, then approved or refused, then promoted."
        ),
        sa.Column("person", sa.Text(), nullable=False, comment="Name of the person, or stence."),
        sa.Column("login", sa.Text(), nullable=False, comment="Login that Postgres checked."),
        sa.Column("reason", sa.Text(), nullable=False, comment="Reason."),
        sa.Column(
            "made_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When.",
        ),
        sa.CheckConstraint(
            "event IN ('requested', 'approved', 'refused', 'promoted')",
            name=op.f("promotion_requests_event_check"),
        ),
        sa.ForeignKeyConstraint(
            ["version"], ["models.version"], name=op.f("promotion_requests_version_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("promotion_requests_pkey")),
        comment="Append-only history of requests to promote a model, and of their answers.",
    )
    op.create_index("promotion_requests_version_id_idx", "promotion_requests", ["version", "id"])
    op.execute(HISTORY)
