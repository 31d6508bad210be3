"""Withdraw flags with their model or by a person; say which runs were abandoned, and which models ungated."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

WITHDRAWALS = "'replaced', 'patient_conflict', 'patient_unclear', 'model_retired', 'by_person'"
RUNS = {
    "runs": "running, finished, interrupted, abandoned or failed",
    "monitor_runs": "running, finished, interrupted, abandoned or failed",
    "training_runs": "running, finished, skipped, failed, interrupted or abandoned",
}
ABANDON = """
UPDATE {table} SET state = 'abandoned'
WHERE state = 'interrupted' AND error = 'its process ended without a word'
"""
HISTORY = """
CREATE TRIGGER flag_decisions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON flag_decisions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
REVOKE ALL ON flag_decisions FROM PUBLIC;
"""
# Until now the flags of a model that retired stayed open.
RETIRE = """
UPDATE flags
SET state = 'withdrawn', withdrawn_for = 'model_retired', reviewed_at = now(), reviewed_by = 'stence',
    note = 'its model is not champion any more'
FROM models
WHERE models.version = flags.model_version AND models.state = 'retired' AND flags.state = 'open'
"""


def upgrade() -> None:
    op.add_column(
        "model_events",
        sa.Column(
            "ungated",
            sa.Boolean(),
            nullable=False,
            server_default=sa.text("false"),
            comment="True for a promotion without a verdict of the gate.",
        ),
    )
    _name_abandoned_runs()
    _create_decisions()
    _change_flags()


def _name_abandoned_runs() -> None:
    for table, states in RUNS.items():
        constraint = op.f(f"{table}_state_check")
        op.drop_constraint(constraint, table)
        quoted = ", ".join(f"'{state}'" for state in states.replace(" or ", ", ").split(", "))
        op.create_check_constraint(constraint, table, f"state IN ({quoted})")
        op.alter_column(table, "state", comment=f"{states}.")
        op.execute(ABANDON.format(table=table))


def _create_decisions() -> None:
    op.create_table(
        "flag_decisions",
        sa.Column(
            "id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Number of the decision."
        ),
        sa.Column(
            "decided_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When.",
        ),
        sa.Column("decision", sa.Text(), nullable=False, comment="withdrawn or restored."),
        sa.Column("decided_by", sa.Text(), nullable=False, comment="Name of the person who decided."),
        sa.Column("reason", sa.Text(), nullable=False, comment="Reason."),
        sa.Column("flags", sa.BigInteger(), nullable=False, comment="Flags that were withdrawn or restored."),
        sa.Column(
            "model_version", sa.Text(), comment="Withdrawn: only flags of this model; empty: of every model."
        ),
        sa.Column(
            "device", sa.Text(), comment="Withdrawn: only ECGs of this electrocardiograph; empty: of all."
        ),
        sa.Column(
            "first_day",
            sa.Date(),
            comment="Withdrawn: only ECGs of this day or later; empty: from the first on.",
        ),
        sa.Column(
            "last_day",
            sa.Date(),
            comment="Withdrawn: only ECGs of this day or earlier; empty: up to the last.",
        ),
        sa.Column("withdrawal_id", sa.BigInteger(), comment="Restored: the withdrawal."),
        sa.CheckConstraint(
            "decision IN ('withdrawn', 'restored')", name=op.f("flag_decisions_decision_check")
        ),
        sa.ForeignKeyConstraint(
            ["withdrawal_id"], ["flag_decisions.id"], name=op.f("flag_decisions_withdrawal_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("flag_decisions_pkey")),
        comment="Append-only history of flags that people withdrew, and of those that they restored.",
    )
    op.execute(HISTORY)


def _change_flags() -> None:
    op.drop_constraint(op.f("flags_withdrawn_for_check"), "flags")
    op.create_check_constraint(
        op.f("flags_withdrawn_for_check"), "flags", f"withdrawn_for IN ({WITHDRAWALS})"
    )
    op.alter_column("flags", "withdrawn_for", comment="Reason for which the flag was withdrawn.")
    op.add_column(
        "flags",
        sa.Column("withdrawal_id", sa.BigInteger(), comment="Decision of the person who withdrew the flag."),
    )
    op.create_foreign_key(
        op.f("flags_withdrawal_id_fkey"), "flags", "flag_decisions", ["withdrawal_id"], ["id"]
    )
    op.execute(RETIRE)
