"""Keep what the electrocardiograph says of an ECG, and recognise the same ECG in two formats."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0021"
down_revision = "0020"

ECG_COLUMNS = (
    sa.Column("device_serial", sa.Text(), comment="Serial number of the electrocardiograph."),
    sa.Column("filters", sa.Text(), comment="Filters that the electrocardiograph applied."),
    sa.Column(
        "measurements",
        JSONB(),
        nullable=False,
        server_default="{}",
        comment="Measurements of the electrocardiograph: rate in 1/min, durations in ms, axes in degrees.",
    ),
    sa.Column(
        "statements",
        ARRAY(sa.Text()),
        nullable=False,
        server_default="{}",
        comment="Statements of the electrocardiograph; nobody has confirmed them.",
    ),
    sa.Column(
        "fingerprint",
        ARRAY(sa.SmallInteger()),
        comment="Means over 20 ms in microvolts at 64 places of the signal; empty: read before.",
    ),
)


def upgrade() -> None:
    for column in ECG_COLUMNS:
        op.add_column("ecgs", column)
    read_as = sa.Column("format", sa.Text(), comment="Format of the file, as it was last read.")
    op.add_column("objects", read_as)
    op.create_table(
        "ecg_moments",
        sa.Column(
            "moment",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Hash of patient and second.",
        ),
        sa.PrimaryKeyConstraint("moment", name=op.f("ecg_moments_pkey")),
        comment="Moments with an ECG: writers of the same ECG in two formats wait for each other here.",
    )
