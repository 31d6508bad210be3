"""Keep in which numeric form a model scores, and the measurements that allow it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0018"
down_revision = "0017"

APPEND_ONLY = """
CREATE TRIGGER model_forms_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON model_forms
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""


def upgrade() -> None:
    op.create_table(
        "model_forms",
        sa.Column(
            "id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Order of the rows."
        ),
        sa.Column("model_version", sa.Text(), nullable=False, comment="Model version."),
        sa.Column("device", sa.Text(), nullable=False, comment="Kind of device: cpu or cuda."),
        sa.Column("form", sa.Text(), nullable=False, comment="Numeric form, for example fp32 or bf16."),
        sa.Column(
            "library", sa.Text(), nullable=False, comment="Library that computes it, with its version."
        ),
        sa.Column("hardware", sa.Text(), nullable=False, comment="Processor or GPU of the measurement."),
        sa.Column(
            "figures",
            JSONB(),
            nullable=False,
            comment="Changes against fp32 on held-out patients, and speed.",
        ),
        sa.Column(
            "shift", ARRAY(sa.REAL()), comment="Mean error of embeddings, which is subtracted; empty: none."
        ),
        sa.Column("refused", sa.Text(), comment="Why the form may not score; empty: it may."),
        sa.Column(
            "chosen", sa.Boolean(), nullable=False, comment="True: the model scores in it from now on."
        ),
        sa.Column("decided_by", sa.Text(), nullable=False, comment="Author of the measurement or choice."),
        sa.Column("reason", sa.Text(), nullable=False, comment="Reason."),
        sa.Column(
            "decided_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When.",
        ),
        sa.CheckConstraint("NOT chosen OR refused IS NULL", name=op.f("model_forms_chosen_check")),
        sa.ForeignKeyConstraint(
            ["model_version"], ["models.version"], name=op.f("model_forms_model_version_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("model_forms_pkey")),
        comment="Append-only history of numeric forms: measurements, and which form a model scores in.",
    )
    op.execute(APPEND_ONLY)
    op.create_index(op.f("model_forms_model_version_idx"), "model_forms", ["model_version"])
    op.add_column(
        "runs",
        sa.Column(
            "form", sa.Text(), server_default="fp32", nullable=False, comment="Numeric form of the scores."
        ),
    )
