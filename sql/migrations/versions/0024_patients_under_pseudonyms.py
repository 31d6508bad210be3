"""Patients under pseudonyms in every table; their numbers in one map, whose reads are recorded."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import sqlalchemy as sa
from alembic import context, op

from stence.domain.pseudonyms import Pseudonyms
from stence.domain.splits import split_of

revision = "0024"
down_revision = "0023"

COLUMNS = (
    ("objects", "patient_id"),
    ("ecgs", "patient_id"),
    ("flags", "patient_id"),
    ("flag_exports", "patient_id"),
    ("manifest_rows", "patient_id"),
    ("manifest_records", "patient_id"),
    ("patient_aliases", "patient_id"),
    ("patient_aliases", "present_id"),
    ("patient_merges", "former_id"),
    ("patient_merges", "present_id"),
    ("patient_splits", "patient_id"),
    ("cath_studies", "patient_id"),
    ("angiogram_views", "patient_id"),
    ("ecg_study_pairs", "patient_id"),
)
"""Tables and columns that held patient numbers."""
COMMENTS = (
    ("objects", "patient_id", "Pseudonym of this ECG's patient at that time."),
    ("ecgs", "patient_id", "Pseudonym of the patient."),
    ("manifest_rows", "patient_id", "Pseudonym of the row's subject_id."),
    ("manifest_records", "patient_id", "Patient by present number; empty if rows contradict each other."),
    ("patient_aliases", "patient_id", "Pseudonym of the former number."),
    ("patient_aliases", "present_id", "Pseudonym of the patient's present number."),
    ("patient_merges", "former_id", "Pseudonym of the former number."),
    ("patient_merges", "present_id", "Pseudonym of the number that replaces the former number."),
    ("patient_splits", "patient_id", "Pseudonym of the patient, or of a former number."),
    ("cath_studies", "patient_id", "Pseudonym of the patient."),
    ("angiogram_views", "patient_id", "Pseudonym of the patient in the file."),
    ("ecg_study_pairs", "patient_id", "Pseudonym of the patient."),
    ("ecg_moments", "moment", "Hash of pseudonym and second."),
    ("ecg_pages", "patient_id", "Patient whom the page names."),
    ("installation", "name", "timezone, practice, verification_seed, or pseudonym_fingerprint."),
)
TABLE_COMMENTS = (
    (
        "patient_splits",
        "Splits of patients for whom the hash of the pseudonym does not decide: their merged numbers had "
        "different splits, or they had theirs before a change of the key.",
    ),
)
BATCH = 50_000

IN_USE = """
SELECT EXISTS (SELECT FROM old_numbers) OR EXISTS (SELECT FROM installation WHERE name = 'pseudonym_key')
"""
DECIDER = """
SELECT set_config('stence.person', 'stence', true),
       set_config('stence.reason', 'patients under pseudonyms', true)
"""
"""Who changes flags, where their changes are recorded already."""
log = logging.getLogger("alembic.runtime.migration")


def upgrade() -> None:
    """Create the map, fill it, and replace every number by its pseudonym, all in one transaction."""
    op.execute("CREATE SCHEMA identity")
    op.execute("COMMENT ON SCHEMA identity IS 'The patient numbers, which no other schema holds.'")
    _create_map()
    op.execute("REVOKE ALL ON identity.patients FROM PUBLIC")
    op.execute(DECIDER)
    _fill_map()
    for table, column in COLUMNS:
        _replace(table, column)
    _remove_traces()
    for table, column, comment in COMMENTS:
        op.alter_column(table, column, comment=comment)
    for table, comment in TABLE_COMMENTS:
        op.create_table_comment(table, comment)


def _create_map() -> None:
    op.create_table(
        "patients",
        sa.Column("patient_id", sa.Text(), nullable=False, comment="Pseudonym, as in all other tables."),
        sa.Column("number", sa.Text(), nullable=False, comment="Number by the hospital."),
        sa.Column(
            "added_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Time at which the number was first read.",
        ),
        sa.PrimaryKeyConstraint("patient_id", name=op.f("patients_pkey")),
        sa.UniqueConstraint("number", name=op.f("patients_number_key")),
        schema="identity",
        comment="Which number each pseudonym stands for; every read is recorded.",
    )


def _fill_map() -> None:
    """Add all numbers of all tables. Patients whose split would change keep theirs explicitly."""
    connection = op.get_bind()
    numbers = " UNION ".join(f"SELECT {column} AS number FROM {table}" for table, column in COLUMNS)  # noqa: S608 - constants
    op.execute(f"CREATE TEMP TABLE old_numbers ON COMMIT DROP AS {numbers}")
    op.execute("DELETE FROM old_numbers WHERE number IS NULL")
    op.execute("CREATE UNIQUE INDEX ON old_numbers (number)")
    op.execute("CREATE TEMP TABLE old_splits (number text, split text) ON COMMIT DROP")
    if not connection.scalar(sa.text(IN_USE)):
        return
    pseudonyms = context.config.attributes["pseudonyms"](connection)
    done = 0
    for batch in _batches(connection):
        _add(connection, batch, pseudonyms)
        done += len(batch)
        log.info("pseudonyms: %d patients", done)
    op.execute("INSERT INTO patient_splits SELECT number, split FROM old_splits ON CONFLICT DO NOTHING")
    op.execute("ANALYZE identity.patients")


def _batches(connection: sa.Connection) -> Iterator[list[str]]:
    query = sa.text("SELECT number FROM old_numbers WHERE number > :after ORDER BY number LIMIT :limit")
    after = ""
    while batch := list(connection.scalars(query, {"after": after, "limit": BATCH})):
        yield batch
        after = batch[-1]


def _add(connection: sa.Connection, numbers: list[str], pseudonyms: Pseudonyms) -> None:
    named = [(pseudonyms.of(number), number) for number in numbers]
    add = sa.text(
        "INSERT INTO identity.patients SELECT * FROM unnest(CAST(:p AS text[]), CAST(:n AS text[]))"
    )
    connection.execute(add, {"p": [patient for patient, _ in named], "n": numbers})
    kept = {number: split_of(number) for patient, number in named if split_of(patient) != split_of(number)}
    keep = sa.text("INSERT INTO old_splits SELECT * FROM unnest(CAST(:n AS text[]), CAST(:s AS text[]))")
    connection.execute(keep, {"n": list(kept), "s": [str(split) for split in kept.values()]})


def _replace(table: str, column: str) -> None:
    changed = op.get_bind().execute(
        sa.text(
            f"UPDATE {table} AS t SET {column} = p.patient_id "  # noqa: S608 - constants
            f"FROM identity.patients AS p WHERE t.{column} = p.number"
        )
    )
    log.info("pseudonyms: %d rows of %s", changed.rowcount, table)


def _remove_traces() -> None:
    """Remove what is derived from numbers without a key.

    Pages that name a number belong to nobody from now on, so that the next score run replaces them.
    """
    op.execute("TRUNCATE ecg_moments")
    op.execute("UPDATE cath_studies SET fingerprint = ''")
    op.execute("UPDATE ecg_pages SET patient_id = ''")
