"""Mirror manifests, keep merged patient numbers, and know which files are parts of records."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"

# Rows are numbered until their manifest is read again, which the empty etag makes the next index do.
MOVE_ROWS = """
INSERT INTO manifest_rows (manifest_key, line, record_key, patient_id, study_id, acquired_at, site,
                           indication)
SELECT manifest_key, row_number() OVER (PARTITION BY manifest_key ORDER BY record_key), record_key,
       patient_id, study_id, acquired_at, site, indication
FROM manifest_records;
UPDATE manifests SET etag = '';
INSERT INTO source_faults (kind, source_key, line, reason, state, first_seen_at, seen_at)
SELECT 'report', report_key, line, reason, state, first_seen_at, seen_at FROM report_faults;
UPDATE objects SET listed_etag = etag;
UPDATE flags
SET withdrawn_for = CASE WHEN note = 'its file was replaced' THEN 'replaced' ELSE 'patient_conflict' END
WHERE state = 'withdrawn' AND reviewed_by = 'stence'
"""


def upgrade() -> None:
    _create_tables()
    _change_tables()
    for statement in MOVE_ROWS.split(";"):
        op.execute(statement)
    op.drop_column("manifest_records", "manifest_key")
    op.drop_table("report_faults")


def _create_tables() -> None:
    op.create_table(
        "ignored_objects",
        sa.Column("kind", sa.Text(), nullable=False, comment="Extension, name, or why it was passed over."),
        sa.Column("files", sa.BigInteger(), nullable=False, comment="How many."),
        sa.Column(
            "listed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When they were last listed.",
        ),
        sa.PrimaryKeyConstraint("kind", name=op.f("ignored_objects_pkey")),
        comment="What lies below the ECG prefix and is no ECG, as last listed.",
    )
    op.create_table(
        "installation",
        sa.Column("name", sa.Text(), nullable=False, comment="timezone, or practice."),
        sa.Column("value", sa.Text(), nullable=False, comment="Its value."),
        sa.Column(
            "set_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was set.",
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("installation_pkey")),
        comment="What holds for this database as a whole.",
    )
    op.create_table(
        "manifest_rows",
        sa.Column("manifest_key", sa.Text(), nullable=False, comment="Object key of the record_list.csv."),
        sa.Column("line", sa.BigInteger(), nullable=False, comment="Line of the row."),
        sa.Column("record_key", sa.Text(), nullable=False, comment="Object key of the ECG, no extension."),
        sa.Column("patient_id", sa.Text(), nullable=False, comment="subject_id of the row."),
        sa.Column("study_id", sa.Text(), nullable=True, comment="study_id of the row."),
        sa.Column("acquired_at", sa.DateTime(timezone=True), nullable=True, comment="ecg_time of the row."),
        sa.Column(
            "local_timezone",
            sa.Text(),
            nullable=True,
            comment="Time zone that it was read in; empty: it named its own.",
        ),
        sa.Column("site", sa.Text(), nullable=True, comment="site of the row."),
        sa.Column("indication", sa.Text(), nullable=True, comment="indication of the row."),
        sa.PrimaryKeyConstraint("manifest_key", "line", name=op.f("manifest_rows_pkey")),
        comment="The usable rows of all manifests, as the manifests are now.",
    )
    op.create_index(op.f("manifest_rows_patient_id_idx"), "manifest_rows", ["patient_id"], unique=False)
    op.create_index(op.f("manifest_rows_record_key_idx"), "manifest_rows", ["record_key"], unique=False)
    op.create_table(
        "patient_aliases",
        sa.Column("patient_id", sa.Text(), nullable=False, comment="A former number."),
        sa.Column("present_id", sa.Text(), nullable=False, comment="The patient's present number."),
        sa.PrimaryKeyConstraint("patient_id", name=op.f("patient_aliases_pkey")),
        comment="Present number of every former one, chains of merges followed to their end.",
    )
    op.create_index(op.f("patient_aliases_present_id_idx"), "patient_aliases", ["present_id"], unique=False)
    op.create_table(
        "patient_merges",
        sa.Column(
            "id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Number of the merge."
        ),
        sa.Column("former_id", sa.Text(), nullable=False, comment="Number that is given up."),
        sa.Column("present_id", sa.Text(), nullable=False, comment="The patient's number from then on."),
        sa.Column("state", sa.Text(), nullable=False, comment="active or ended."),
        sa.Column("source", sa.Text(), nullable=False, comment="file or command."),
        sa.Column("source_key", sa.Text(), nullable=True, comment="Object key of the file."),
        sa.Column("made_by", sa.Text(), nullable=False, comment="Who said so."),
        sa.Column("reason", sa.Text(), nullable=False, comment="Why."),
        sa.Column(
            "split",
            sa.Text(),
            nullable=True,
            comment="Split decided for all numbers of the patient, where theirs differed.",
        ),
        sa.Column(
            "made_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was taken up.",
        ),
        sa.Column("ended_by", sa.Text(), nullable=True, comment="Who or what ended it."),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True, comment="When it ended."),
        sa.CheckConstraint("source IN ('file', 'command')", name=op.f("patient_merges_source_check")),
        sa.CheckConstraint(
            "split IN ('train', 'validation', 'calibration', 'test')", name=op.f("patient_merges_split_check")
        ),
        sa.CheckConstraint("state IN ('active', 'ended')", name=op.f("patient_merges_state_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("patient_merges_pkey")),
        comment="History of merged patient numbers: each former number and the one it was merged into.",
    )
    op.create_index(
        "patient_merges_one_active",
        "patient_merges",
        ["former_id"],
        unique=True,
        postgresql_where=sa.text("state = 'active'"),
    )
    op.create_index(op.f("patient_merges_present_id_idx"), "patient_merges", ["present_id"], unique=False)
    op.create_table(
        "patient_splits",
        sa.Column("patient_id", sa.Text(), nullable=False, comment="A number of a merged patient."),
        sa.Column("split", sa.Text(), nullable=False, comment="train, validation, calibration or test."),
        sa.Column(
            "decided_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When.",
        ),
        sa.CheckConstraint(
            "split IN ('train', 'validation', 'calibration', 'test')", name=op.f("patient_splits_split_check")
        ),
        sa.PrimaryKeyConstraint("patient_id", name=op.f("patient_splits_pkey")),
        comment="Splits of patients whose numbers were of several: decided at the merge, kept after it.",
    )
    op.create_table(
        "source_faults",
        sa.Column("kind", sa.Text(), nullable=False, comment="manifest, report or merge."),
        sa.Column("source_key", sa.Text(), nullable=False, comment="Object key of the file."),
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
        sa.CheckConstraint("kind IN ('manifest', 'report', 'merge')", name=op.f("source_faults_kind_check")),
        sa.CheckConstraint("state IN ('open', 'mended')", name=op.f("source_faults_state_check")),
        sa.PrimaryKeyConstraint("kind", "source_key", "line", name=op.f("source_faults_pkey")),
        comment="Rows of manifests, cath reports and merge tables that cannot be used.",
    )
    op.create_table(
        "record_parts",
        sa.Column("object_id", sa.BigInteger(), nullable=False, comment="The header."),
        sa.Column("key", sa.Text(), nullable=False, comment="Object key of the signal file."),
        sa.ForeignKeyConstraint(["object_id"], ["objects.id"], name=op.f("record_parts_object_id_fkey")),
        sa.PrimaryKeyConstraint("object_id", "key", name=op.f("record_parts_pkey")),
        comment="Signal files that headers of another name need: they are no ECGs of their own.",
    )
    op.create_index(op.f("record_parts_key_idx"), "record_parts", ["key"], unique=False)


def _change_tables() -> None:
    op.add_column(
        "angiogram_views",
        sa.Column(
            "local_timezone",
            sa.Text(),
            nullable=True,
            comment="Time zone that it was read in; empty: it named its own.",
        ),
    )
    op.add_column(
        "ecgs",
        sa.Column(
            "local_timezone",
            sa.Text(),
            nullable=True,
            comment="Time zone that it was read in; empty: it named its own.",
        ),
    )
    op.add_column(
        "flags", sa.Column("withdrawn_for", sa.Text(), nullable=True, comment="Why stence withdrew it.")
    )
    op.add_column(
        "manifest_records",
        sa.Column(
            "contradiction",
            sa.Text(),
            nullable=True,
            comment="Rows that name different patients: manifest and line of each.",
        ),
    )
    op.add_column(
        "manifest_records",
        sa.Column(
            "local_timezone",
            sa.Text(),
            nullable=True,
            comment="Time zone that it was read in; empty: it named its own.",
        ),
    )
    op.alter_column(
        "manifest_records",
        "patient_id",
        existing_type=sa.TEXT(),
        nullable=True,
        comment="Patient, by the present number; empty where rows contradict.",
        existing_comment="subject_id of the row.",
    )
    op.alter_column(
        "manifest_records",
        "study_id",
        existing_type=sa.TEXT(),
        comment="study_id of the last row.",
        existing_comment="study_id of the row.",
        existing_nullable=True,
    )
    op.alter_column(
        "manifest_records",
        "acquired_at",
        existing_type=postgresql.TIMESTAMP(timezone=True),
        comment="ecg_time of the rows; empty where they contradict.",
        existing_comment="ecg_time of the row.",
        existing_nullable=True,
    )
    op.alter_column(
        "manifest_records",
        "site",
        existing_type=sa.TEXT(),
        comment="site of the last row.",
        existing_comment="site of the row.",
        existing_nullable=True,
    )
    op.alter_column(
        "manifest_records",
        "indication",
        existing_type=sa.TEXT(),
        comment="indication of the last row.",
        existing_comment="indication of the row.",
        existing_nullable=True,
    )
    op.create_table_comment(
        "manifest_records",
        "What all manifests together say of each ECG file.",
        existing_comment="Patients and times that manifests give for ECG files which name none themselves.",
        schema=None,
    )
    op.add_column(
        "objects",
        sa.Column(
            "listed_etag",
            sa.Text(),
            nullable=False,
            server_default="",
            comment="Version of the files of its name in the last listing.",
        ),
    )
    op.alter_column(
        "objects",
        "kind",
        existing_type=sa.TEXT(),
        comment="ecg, angiogram, or signal (part of an ECG).",
        existing_comment="ecg or angiogram.",
        existing_nullable=False,
        existing_server_default=sa.text("'ecg'::text"),
    )
    op.add_column(
        "quarantine",
        sa.Column(
            "content_hash", sa.LargeBinary(), nullable=True, comment="The ECG in it, where it was read."
        ),
    )
    op.create_index(
        "quarantine_dismissed",
        "quarantine",
        ["object_id"],
        postgresql_where=sa.text("state = 'dismissed'"),
    )
    op.create_index(
        "quarantine_conflicts",
        "quarantine",
        ["content_hash"],
        postgresql_where=sa.text("content_hash IS NOT NULL"),
    )
    op.drop_constraint(op.f("objects_kind_check"), "objects")
    op.create_check_constraint(
        op.f("objects_kind_check"), "objects", "kind IN ('ecg', 'angiogram', 'signal', 'gone')"
    )
    op.create_check_constraint(
        op.f("flags_withdrawn_for_check"),
        "flags",
        "withdrawn_for IN ('replaced', 'patient_conflict', 'patient_unclear')",
    )
