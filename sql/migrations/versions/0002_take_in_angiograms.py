"""Take in cath reports and angiograms, and keep a book of trainings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    _change_tables()
    _create_tables()


def _change_tables() -> None:
    op.alter_column(
        "models",
        "state",
        existing_type=sa.TEXT(),
        comment="candidate, shadow, champion, retired or rejected.",
        existing_comment="candidate, shadow, champion or retired.",
        existing_nullable=False,
    )
    op.add_column(
        "objects",
        sa.Column("kind", sa.Text(), server_default="ecg", nullable=False, comment="ecg or angiogram."),
    )
    op.alter_column(
        "objects",
        "key",
        existing_type=sa.TEXT(),
        comment="Key of its main file in the store.",
        existing_comment="Key of the ECG's main file in the store.",
        existing_nullable=False,
    )
    op.create_table_comment(
        "objects",
        "ECG and angiogram files in the object store, by key.",
        existing_comment="ECG files in the object store, by key.",
    )
    op.alter_column(
        "quarantine",
        "run_id",
        existing_type=sa.UUID(),
        nullable=True,
        comment="Run of the scorer; ECGs only.",
        existing_comment="Run.",
    )
    op.create_table_comment(
        "quarantine",
        "ECG and angiogram files that could not be used, and why.",
        existing_comment="ECG files that could not be scored, and why.",
    )
    op.create_check_constraint(op.f("objects_kind_check"), "objects", "kind IN ('ecg', 'angiogram')")
    op.drop_constraint(op.f("models_state_check"), "models")
    op.create_check_constraint(
        op.f("models_state_check"),
        "models",
        "state IN ('candidate', 'shadow', 'champion', 'retired', 'rejected')",
    )


def _create_tables() -> None:
    op.create_table(
        "cath_studies",
        sa.Column("study_id", sa.Text(), nullable=False, comment="Study, as the cath report numbers it."),
        sa.Column("patient_id", sa.Text(), nullable=False, comment="Patient, as the hospital numbers them."),
        sa.Column(
            "performed_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When the angiography was done.",
        ),
        sa.Column(
            "split",
            sa.Text(),
            nullable=False,
            comment="train, validation, calibration or test: by the patient alone.",
        ),
        sa.Column(
            "max_degree", sa.Double(), nullable=False, comment="Worst narrowing of the 16 segments, percent."
        ),
        sa.Column(
            "intervention_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="First intervention that the report tells of; later ECGs are not paired.",
        ),
        sa.Column(
            "report_key", sa.Text(), nullable=False, comment="Object key of the report that last named it."
        ),
        sa.Column(
            "fingerprint", sa.Text(), nullable=False, comment="SHA-256 of all that the reports say of it."
        ),
        sa.Column(
            "changed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When that was last seen to change.",
        ),
        sa.CheckConstraint(
            "split IN ('train', 'validation', 'calibration', 'test')", name=op.f("cath_studies_split_check")
        ),
        sa.PrimaryKeyConstraint("study_id", name=op.f("cath_studies_pkey")),
        comment="Usable studies of the cath reports, as the reports are now.",
    )
    op.create_index(
        "cath_studies_patient_id_performed_at_idx",
        "cath_studies",
        ["patient_id", "performed_at"],
        unique=False,
    )
    op.create_table(
        "report_faults",
        sa.Column("report_key", sa.Text(), nullable=False, comment="Object key of the cath report."),
        sa.Column(
            "line",
            sa.BigInteger(),
            nullable=False,
            comment="Line of the file; of Parquet, the row from 1 on.",
        ),
        sa.Column("reason", sa.Text(), nullable=False, comment="Code of what is wrong with it."),
        sa.Column("state", sa.Text(), nullable=False, comment="open; mended once it is seen no more."),
        sa.Column(
            "first_seen_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was first seen.",
        ),
        sa.Column(
            "seen_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was last seen.",
        ),
        sa.CheckConstraint("state IN ('open', 'mended')", name=op.f("report_faults_state_check")),
        sa.PrimaryKeyConstraint("report_key", "line", name=op.f("report_faults_pkey")),
        comment="Rows of cath reports that cannot be used. Their studies are left out until they are mended.",
    )
    op.create_table(
        "angiogram_views",
        sa.Column("object_id", sa.BigInteger(), nullable=False, comment="Its file."),
        sa.Column("etag", sa.Text(), nullable=False, comment="The content this row is about."),
        sa.Column("state", sa.Text(), nullable=False, comment="pending, ready or quarantined."),
        sa.Column(
            "sop_instance_uid",
            sa.Text(),
            nullable=True,
            comment="The run's own number; empty until it is read.",
        ),
        sa.Column(
            "study_instance_uid",
            sa.Text(),
            nullable=True,
            comment="DICOM number of the study that it is part of.",
        ),
        sa.Column("accession_number", sa.Text(), nullable=True, comment="Number of the order, in DICOM."),
        sa.Column("dicom_study_id", sa.Text(), nullable=True, comment="Study ID, in DICOM."),
        sa.Column("patient_id", sa.Text(), nullable=True, comment="Patient, as the file says."),
        sa.Column(
            "acquired_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it was recorded, as the file says.",
        ),
        sa.Column(
            "primary_angle",
            sa.Double(),
            nullable=True,
            comment="C-arm: degrees, positive towards the patient's left (LAO).",
        ),
        sa.Column(
            "secondary_angle",
            sa.Double(),
            nullable=True,
            comment="C-arm: degrees, positive towards the head (cranial).",
        ),
        sa.Column("frames", sa.Integer(), nullable=True, comment="Number of frames."),
        sa.Column(
            "key_frame",
            sa.Integer(),
            nullable=True,
            comment="Frame with the most contrast-filled vessel, from 0 on.",
        ),
        sa.Column(
            "study_id",
            sa.Text(),
            nullable=True,
            comment="Cath study whose report tells what it shows; empty while there is none.",
        ),
        sa.Column(
            "changed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When its content, its study or what is known of it last changed.",
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'ready', 'quarantined')", name=op.f("angiogram_views_state_check")
        ),
        sa.ForeignKeyConstraint(["object_id"], ["objects.id"], name=op.f("angiogram_views_object_id_fkey")),
        sa.ForeignKeyConstraint(
            ["study_id"],
            ["cath_studies.study_id"],
            name=op.f("angiogram_views_study_id_fkey"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("object_id", name=op.f("angiogram_views_pkey")),
        comment="Where every angiogram is: waiting for its report or its key frame, ready, or in quarantine.",
    )
    op.create_index(op.f("angiogram_views_patient_id_idx"), "angiogram_views", ["patient_id"], unique=False)
    op.create_index(
        op.f("angiogram_views_sop_instance_uid_idx"), "angiogram_views", ["sop_instance_uid"], unique=False
    )
    op.create_index(op.f("angiogram_views_study_id_idx"), "angiogram_views", ["study_id"], unique=False)
    op.create_table(
        "ecg_study_pairs",
        sa.Column(
            "content_hash", sa.LargeBinary(), nullable=False, comment="SHA-256 of the ECG, as in ecgs."
        ),
        sa.Column("study_id", sa.Text(), nullable=False, comment="Cath study that the ECG came before."),
        sa.Column("object_id", sa.BigInteger(), nullable=False, comment="The ECG's file."),
        sa.Column("patient_id", sa.Text(), nullable=False, comment="Patient, as the hospital numbers them."),
        sa.Column(
            "split",
            sa.Text(),
            nullable=False,
            comment="train, validation, calibration or test: by the patient alone.",
        ),
        sa.Column("days_before", sa.Double(), nullable=False, comment="From the ECG to the study."),
        sa.Column(
            "weight", sa.Double(), nullable=False, comment="One over the number of the patient's ECGs here."
        ),
        sa.Column(
            "paired_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was first paired.",
        ),
        sa.CheckConstraint(
            "split IN ('train', 'validation', 'calibration', 'test')",
            name=op.f("ecg_study_pairs_split_check"),
        ),
        sa.ForeignKeyConstraint(["object_id"], ["objects.id"], name=op.f("ecg_study_pairs_object_id_fkey")),
        sa.ForeignKeyConstraint(
            ["study_id"],
            ["cath_studies.study_id"],
            name=op.f("ecg_study_pairs_study_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("content_hash", name=op.f("ecg_study_pairs_pkey")),
        comment="ECGs that the last training paired with a cath study.",
    )
    op.create_index(op.f("ecg_study_pairs_patient_id_idx"), "ecg_study_pairs", ["patient_id"], unique=False)
    op.create_index(op.f("ecg_study_pairs_study_id_idx"), "ecg_study_pairs", ["study_id"], unique=False)
    op.create_table(
        "segment_stenoses",
        sa.Column("study_id", sa.Text(), nullable=False, comment="Study."),
        sa.Column("segment", sa.Integer(), nullable=False, comment="Coronary segment, 1 to 16."),
        sa.Column("degree", sa.Double(), nullable=False, comment="Narrowing in percent."),
        sa.CheckConstraint("degree > 0 AND degree <= 100", name=op.f("segment_stenoses_degree_check")),
        sa.CheckConstraint("segment BETWEEN 1 AND 16", name=op.f("segment_stenoses_segment_check")),
        sa.ForeignKeyConstraint(
            ["study_id"],
            ["cath_studies.study_id"],
            name=op.f("segment_stenoses_study_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("study_id", "segment", name=op.f("segment_stenoses_pkey")),
        comment="Narrowed segments of each study; those without a row are open.",
    )
    op.create_table(
        "training_runs",
        sa.Column("id", sa.UUID(), nullable=False, comment="Number of the run."),
        sa.Column("preset", sa.Text(), nullable=False, comment="Name of the configuration."),
        sa.Column(
            "state", sa.Text(), nullable=False, comment="running, finished, skipped, failed or interrupted."
        ),
        sa.Column("stage", sa.Text(), nullable=True, comment="What it does, or did last."),
        sa.Column(
            "started_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Start.",
        ),
        sa.Column(
            "data_as_of",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Studies, angiograms and ECGs that were known then are in its data.",
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True, comment="End."),
        sa.Column(
            "new_pairs",
            sa.BigInteger(),
            nullable=True,
            comment="ECG-angiogram pairs that were new since the last finished one.",
        ),
        sa.Column(
            "data_fingerprint",
            sa.Text(),
            nullable=True,
            comment="SHA-256 over its ECGs, labels, angiograms and splits.",
        ),
        sa.Column(
            "config",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="The configuration in full.",
        ),
        sa.Column(
            "figures", postgresql.JSONB(astext_type=sa.Text()), nullable=True, comment="What was measured."
        ),
        sa.Column("model_version", sa.Text(), nullable=True, comment="The model that came of it."),
        sa.Column(
            "outcome", sa.Text(), nullable=True, comment="What became of the model: its state after the gate."
        ),
        sa.Column(
            "reasons",
            postgresql.ARRAY(sa.Text()),
            server_default="{}",
            nullable=False,
            comment="Why: skipped, rejected or passed.",
        ),
        sa.Column("error", sa.Text(), nullable=True, comment="Why it failed."),
        sa.CheckConstraint(
            "state IN ('running', 'finished', 'skipped', 'failed', 'interrupted')",
            name=op.f("training_runs_state_check"),
        ),
        sa.ForeignKeyConstraint(
            ["model_version"], ["models.version"], name=op.f("training_runs_model_version_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("training_runs_pkey")),
        comment="Trainings from cath reports, angiograms and ECGs: one row a run, also where it was skipped.",
    )
    op.create_index("training_runs_started_at_idx", "training_runs", ["started_at"], unique=False)
    op.create_table(
        "angiogram_features",
        sa.Column("object_id", sa.BigInteger(), nullable=False, comment="Which angiogram."),
        sa.Column(
            "backbone", sa.Text(), nullable=False, comment="Version of the backbone that computed them."
        ),
        sa.Column("etag", sa.Text(), nullable=False, comment="The content they were computed from."),
        sa.Column(
            "versions",
            sa.Integer(),
            nullable=False,
            comment="Versions of the key frame: 0 as it is, then augmented.",
        ),
        sa.Column(
            "computed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When.",
        ),
        sa.ForeignKeyConstraint(
            ["object_id"], ["angiogram_views.object_id"], name=op.f("angiogram_features_object_id_fkey")
        ),
        sa.PrimaryKeyConstraint("object_id", "backbone", name=op.f("angiogram_features_pkey")),
        comment="Patch features that the store holds of key frames.",
    )
