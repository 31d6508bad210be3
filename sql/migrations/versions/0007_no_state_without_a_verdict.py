"""Remove the flag state ``reviewed``, which nothing sets: a review confirms or dismisses."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"

STATES = "state IN ('open', 'dismissed', 'confirmed', 'withdrawn')"
LISTED = "state IN ('open', 'confirmed')"
INDEXES = {
    "flags_listed_idx": "(probability, id)",
    "flags_listed_patient_idx": "(patient_id, probability, id)",
}


def upgrade() -> None:
    op.execute("UPDATE flags SET state = 'open' WHERE state = 'reviewed'")
    op.drop_constraint(op.f("flags_state_check"), "flags")
    op.create_check_constraint(op.f("flags_state_check"), "flags", STATES)
    for name, columns in INDEXES.items():
        op.drop_index(name, "flags")
        op.execute(f"CREATE INDEX {name} ON flags {columns} WHERE {LISTED}")
    op.alter_column("flags", "state", comment="open, dismissed, confirmed or withdrawn.")
