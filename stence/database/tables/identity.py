"""Whose ECGs and studies they are: the map of patients, manifests, merged numbers, and unusable rows."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Identity, Index, LargeBinary, Table, Text, text

from stence.database.tables.columns import metadata, moment, now, one_of

SPLITS = ("train", "validation", "calibration", "test")
FAULT_STATES = ("open", "mended")
FAULT_KINDS = ("manifest", "report", "merge")
MERGE_STATES = ("active", "ended")
MERGE_SOURCES = ("file", "command")

installation = Table(
    "installation",
    metadata,
    Column(
        "name",
        Text,
        primary_key=True,
        comment="timezone, practice, verification_seed, pseudonym_fingerprint or opt_out_key.",
    ),
    Column("value", Text, nullable=False, comment="Value of the setting."),
    now("set_at", "Time of the last change."),
    comment="Settings of this database as a whole.",
)

patients = Table(
    "patients",
    metadata,
    Column("patient_id", Text, primary_key=True, comment="Pseudonym, as in all other tables."),
    Column("number", Text, nullable=False, unique=True, comment="Number by the hospital."),
    now("added_at", "Time at which the number was first read."),
    schema="identity",
    comment="Which number each pseudonym stands for; every read is recorded.",
)

manifests = Table(
    "manifests",
    metadata,
    Column("key", Text, primary_key=True, comment="Object key of a record_list.csv."),
    Column("etag", Text, nullable=False, comment="Version of the content that was read."),
    Column("rows_read", BigInteger, nullable=False, comment="Usable rows."),
    Column("rows_refused", BigInteger, nullable=False, comment="Unusable rows."),
    now("read_at", "Time of the last reading."),
    comment="Manifests that were read. Unchanged manifests are not read again.",
)

manifest_rows = Table(
    "manifest_rows",
    metadata,
    Column("manifest_key", Text, primary_key=True, comment="Object key of the record_list.csv."),
    Column("line", BigInteger, primary_key=True, comment="Line of the row."),
    Column("record_key", Text, nullable=False, index=True, comment="Object key of the ECG, no extension."),
    Column("patient_id", Text, nullable=False, index=True, comment="Pseudonym of the row's subject_id."),
    Column("study_id", Text, comment="study_id of the row."),
    moment("acquired_at", "ecg_time of the row."),
    Column(
        "local_timezone", Text, comment="Time zone of the recording time; empty: the file names a time zone."
    ),
    Column("site", Text, comment="site of the row."),
    Column("indication", Text, comment="indication of the row."),
    comment="Usable rows of all present manifests.",
)

manifest_records = Table(
    "manifest_records",
    metadata,
    Column("record_key", Text, primary_key=True, comment="Object key of the ECG without its extension."),
    Column("patient_id", Text, comment="Patient by present number; empty if rows contradict each other."),
    Column("contradiction", Text, comment="Rows that name different patients: manifest and line of each."),
    Column("study_id", Text, comment="study_id of the last row."),
    moment("acquired_at", "ecg_time of the rows; empty where they contradict."),
    Column(
        "local_timezone", Text, comment="Time zone of the recording time; empty: the file names a time zone."
    ),
    Column("site", Text, comment="site of the last row."),
    Column("indication", Text, comment="indication of the last row."),
    comment="Contents of all manifests by ECG file.",
)

source_faults = Table(
    "source_faults",
    metadata,
    Column("kind", Text, primary_key=True, comment="manifest, report or merge."),
    Column("source_key", Text, primary_key=True, comment="Object key of the file."),
    Column("line", BigInteger, primary_key=True, comment="Line of the file; of Parquet, the row from 1 on."),
    Column("reason", Text, nullable=False, comment="Code of the fault."),
    Column("state", Text, nullable=False, comment="open; mended after the fault is gone."),
    now("first_seen_at", "First time the fault was seen."),
    now("seen_at", "Last time the fault was seen."),
    one_of("kind", FAULT_KINDS),
    one_of("state", FAULT_STATES),
    comment="Rows of manifests, cath reports and merge tables that cannot be used.",
)

patient_merges = Table(
    "patient_merges",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True, comment="Number of the merge."),
    Column("former_id", Text, nullable=False, comment="Pseudonym of the former number."),
    Column(
        "present_id",
        Text,
        nullable=False,
        index=True,
        comment="Pseudonym of the number that replaces the former number.",
    ),
    Column("state", Text, nullable=False, comment="active or ended."),
    Column("source", Text, nullable=False, comment="file or command."),
    Column("source_key", Text, comment="Object key of the file."),
    Column("made_by", Text, nullable=False, comment="Author of the merge."),
    Column("reason", Text, nullable=False, comment="Reason."),
    Column(
        "split",
        Text,
        comment="Split of all numbers of the patient, if their splits differed before the merge.",
    ),
    now("made_at", "Time at which the merge was recorded."),
    Column("ended_by", Text, comment="Person, file or stence that ended the merge."),
    moment("ended_at", "Time at which the merge ended."),
    one_of("state", MERGE_STATES),
    one_of("source", MERGE_SOURCES),
    one_of("split", SPLITS),
    Index("patient_merges_one_active", "former_id", unique=True, postgresql_where=text("state = 'active'")),
    comment="History of merged patient numbers: former number and present number.",
)

patient_aliases = Table(
    "patient_aliases",
    metadata,
    Column("patient_id", Text, primary_key=True, comment="Pseudonym of the former number."),
    Column(
        "present_id",
        Text,
        nullable=False,
        index=True,
        comment="Pseudonym of the patient's present number.",
    ),
    comment="Present number of every former number, after all merges.",
)

patient_splits = Table(
    "patient_splits",
    metadata,
    Column("patient_id", Text, primary_key=True, comment="Pseudonym of the patient, or of a former number."),
    Column("split", Text, nullable=False, comment="train, validation, calibration or test."),
    now("decided_at", "When."),
    one_of("split", SPLITS),
    comment="Splits of patients for whom the hash of the pseudonym does not decide: their merged numbers had "
    "different splits, or they had theirs before a change of the key.",
)

opted_out = Table(
    "opted_out",
    metadata,
    Column("digest", LargeBinary, primary_key=True, comment="Keyed hash of a pseudonym."),
    now("opted_out_at", "When."),
    comment="Patients of whom nothing is taken up, by keyed hashes of all their pseudonyms.",
)
