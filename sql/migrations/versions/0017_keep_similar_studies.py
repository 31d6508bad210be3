"""Keep the training studies' places in the shared space of ECGs and angiograms."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.create_table(
        "study_embeddings",
        sa.Column("model_version", sa.Text(), nullable=False, comment="Model whose shared space it is."),
        sa.Column("study_id", sa.Text(), nullable=False, comment="Cath study of a training patient."),
        sa.Column(
            "number",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="Pseudonym of the study, another one in each model.",
        ),
        sa.Column(
            "embedding",
            postgresql.ARRAY(sa.REAL()),
            nullable=False,
            comment="Unit vector of the study's angiograms; 256 values, zeros after the model's own.",
        ),
        sa.CheckConstraint("cardinality(embedding) = 256", name=op.f("study_embeddings_embedding_check")),
        sa.ForeignKeyConstraint(
            ["model_version"],
            ["models.version"],
            name=op.f("study_embeddings_model_version_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["study_id"],
            ["cath_studies.study_id"],
            name=op.f("study_embeddings_study_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("model_version", "study_id", name=op.f("study_embeddings_pkey")),
        sa.UniqueConstraint("number", name=op.f("study_embeddings_number_key")),
        comment="Training studies in the shared space of ECGs and angiograms, by model.",
    )
    op.create_index(op.f("study_embeddings_study_id_idx"), "study_embeddings", ["study_id"])
