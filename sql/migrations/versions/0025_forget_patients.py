"""Forget patients and old rows, and keep a list of patients of whom nothing is taken up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"

WITHDRAWALS = (
    "'replaced', 'patient_conflict', 'patient_unclear', 'model_retired', 'by_person', 'not_decisive', "
    "'opted_out'"
)
# Two random UUIDs have 244 random bits. With key and number one can tell whether the patient is on the list.
OPT_OUT_KEY = """
INSERT INTO installation (name, value)
VALUES ('opt_out_key', replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''))
"""


def upgrade() -> None:
    op.create_table(
        "opted_out",
        sa.Column("digest", sa.LargeBinary(), nullable=False, comment="Keyed hash of a pseudonym."),
        sa.Column(
            "opted_out_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When.",
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("opted_out_pkey")),
        comment="Patients of whom nothing is taken up, by keyed hashes of all their pseudonyms.",
    )
    op.alter_column(
        "installation",
        "name",
        comment="timezone, practice, verification_seed, pseudonym_fingerprint or opt_out_key.",
    )
    op.drop_constraint(op.f("flags_withdrawn_for_check"), "flags")
    op.create_check_constraint(
        op.f("flags_withdrawn_for_check"), "flags", f"withdrawn_for IN ({WITHDRAWALS})"
    )
    op.execute(OPT_OUT_KEY)
