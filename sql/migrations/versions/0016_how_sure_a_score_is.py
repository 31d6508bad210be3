"""Keep with each score the intervals of its probabilities, and how unlike the training ECGs its ECG is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0016"
down_revision = "0015"

ENDS = "ends of the 95 % intervals of the six probabilities in order; empty: cannot tell."
COLUMNS = (
    sa.Column("lower", ARRAY(sa.Double()), comment=f"Lower {ENDS}"),
    sa.Column("upper", ARRAY(sa.Double()), comment=f"Upper {ENDS}"),
    sa.Column(
        "novelty",
        sa.Double(),
        comment="Percentage of held-out ECGs more like the model's training ECGs; empty: cannot tell.",
    ),
    sa.Column("unlike", sa.Boolean(), comment="True: unlike the training ECGs, as 1 % of held-out ECGs are."),
)


def upgrade() -> None:
    for column in COLUMNS:
        op.add_column("scores", column)
