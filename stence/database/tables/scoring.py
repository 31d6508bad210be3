"""Files in the store, models, and what becomes of ECGs: scores, flags and quarantine."""

from __future__ import annotations

from sqlalchemy import (
    REAL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Double,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    Sequence,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

from stence.database.tables.columns import is_one_of, lease, login, metadata, moment, now, one_of
from stence.domain.targets import TARGET_NAMES

OBJECT_KINDS = ("ecg", "angiogram", "signal", "gone")
MODEL_STATES = ("candidate", "shadow", "champion", "retired", "rejected")
REFUSALS = ("failed", "cannot tell")
RUN_STATES = ("running", "finished", "interrupted", "abandoned", "failed")
WITHDRAWALS = (
    "replaced",
    "patient_conflict",
    "patient_unclear",
    "model_retired",
    "by_person",
    "not_decisive",
)
FLAG_STATES = ("open", "dismissed", "confirmed", "withdrawn")
LISTED_FLAG_STATES = ("open", "confirmed")
FLAG_DECISIONS = ("withdrawn", "restored")
QUARANTINE_STATES = ("open", "retried", "resolved", "dismissed")

models = Table(
    "models",
    metadata,
    Column("version", Text, primary_key=True, comment="Name of the model version."),
    Column("state", Text, nullable=False, comment="candidate, shadow, champion, retired or rejected."),
    Column("folder", Text, nullable=False, comment="Key of the artefact's folder in the object store."),
    Column("sha256", Text, nullable=False, comment="SHA-256 of the artefact's manifest.json."),
    Column("preprocessing_version", Text, nullable=False, comment="Version of the preprocessing."),
    Column("manifest", JSONB, nullable=False, comment="The artefact's manifest.json."),
    now("created_at", "Time of the registration."),
    one_of("state", MODEL_STATES),
    Index("models_one_champion", "state", unique=True, postgresql_where=text("state = 'champion'")),
    comment="Trained models and their state; at most one is champion.",
)

model_events = Table(
    "model_events",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True, comment="Order of the changes."),
    Column("version", Text, ForeignKey("models.version"), nullable=False, comment="Model version."),
    Column("from_state", Text, comment="State before; empty at registration."),
    Column("to_state", Text, nullable=False, comment="State after."),
    Column("changed_by", Text, nullable=False, comment="Author of the change."),
    Column("reason", Text, nullable=False, comment="Reason."),
    now("changed_at", "When."),
    Column(
        "ungated",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="True for a promotion without a verdict of the gate.",
    ),
    comment="Append-only history of model states.",
)

promotion_refusals = Table(
    "promotion_refusals",
    metadata,
    Column("version", Text, ForeignKey("models.version"), primary_key=True, comment="Model in shadow."),
    Column("result", Text, primary_key=True, comment="failed or cannot tell."),
    Column("checks", ARRAY(Text), primary_key=True, comment="Checks of the shadow that made the result."),
    Column("reason", Text, nullable=False, comment="Findings of these checks at the last look."),
    Column("looks", BigInteger, nullable=False, server_default="1", comment="Number of looks."),
    now("first_at", "Time of the first look with this result."),
    now("last_at", "Time of the last look with this result."),
    one_of("result", REFUSALS),
    comment="Shadows that were due and not promoted by themselves; a repeated result is one row.",
)

model_forms = Table(
    "model_forms",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True, comment="Order of the rows."),
    Column(
        "model_version",
        Text,
        ForeignKey("models.version"),
        nullable=False,
        index=True,
        comment="Model version.",
    ),
    Column("device", Text, nullable=False, comment="Kind of device: cpu or cuda."),
    Column("form", Text, nullable=False, comment="Numeric form, for example fp32 or bf16."),
    Column("library", Text, nullable=False, comment="Library that computes it, with its version."),
    Column("hardware", Text, nullable=False, comment="Processor or GPU of the measurement."),
    Column("figures", JSONB, nullable=False, comment="Changes against fp32 on held-out patients, and speed."),
    Column("shift", ARRAY(REAL), comment="Mean error of embeddings, which is subtracted; empty: none."),
    Column("refused", Text, comment="Why the form may not score; empty: it may."),
    Column("chosen", Boolean, nullable=False, comment="True: the model scores in it from now on."),
    Column("decided_by", Text, nullable=False, comment="Author of the measurement or choice."),
    Column("reason", Text, nullable=False, comment="Reason."),
    now("decided_at", "When."),
    CheckConstraint("NOT chosen OR refused IS NULL", name="chosen"),
    comment="Append-only history of numeric forms: measurements, and which form a model scores in.",
)

object_changes = Sequence("object_changes", metadata=metadata)

objects = Table(
    "objects",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True, comment="Number of the object."),
    Column("key", Text, nullable=False, unique=True, comment="Key of the main file in the store."),
    Column("record_key", Text, nullable=False, index=True, comment="The key without its extension."),
    Column(
        "listed_etag",
        Text,
        nullable=False,
        server_default="",
        comment="Version of the object's own files in the last listing.",
    ),
    Column("etag", Text, nullable=False, comment="Version of the content, of all the record's files."),
    Column("size_bytes", BigInteger, nullable=False, comment="Size of all the record's files."),
    Column("content_hash", LargeBinary, index=True, comment="ECG that was last read from this object."),
    Column("patient_id", Text, comment="Patient of this ECG at that time."),
    now("first_seen_at", "Time of the first listing."),
    now("changed_at", "Time at which a listing last showed a change of the content."),
    Column(
        "kind",
        Text,
        nullable=False,
        server_default="ecg",
        comment="ecg, angiogram, or signal (part of an ECG).",
    ),
    Column(
        "change_number",
        BigInteger,
        object_changes,
        server_default=object_changes.next_value(),
        nullable=False,
        comment="Order of the last change among all files.",
    ),
    Column("format", Text, comment="Format of the file, as it was last read."),
    one_of("kind", OBJECT_KINDS),
    Index("objects_changes_idx", "change_number", postgresql_where=text("kind = 'ecg'")),
    comment="ECG and angiogram files in the object store, by key.",
)

record_parts = Table(
    "record_parts",
    metadata,
    Column("object_id", BigInteger, ForeignKey("objects.id"), primary_key=True, comment="The header."),
    Column("key", Text, primary_key=True, index=True, comment="Object key of the signal file."),
    comment="Signal files that belong to headers of another name. They are not separate ECGs.",
)

ignored_objects = Table(
    "ignored_objects",
    metadata,
    Column(
        "kind",
        Text,
        primary_key=True,
        comment="Extension or name of the files, or the reason for ignoring them.",
    ),
    Column("files", BigInteger, nullable=False, comment="Number of files."),
    now("listed_at", "Time of the last listing."),
    comment="Files below the ECG prefix that are not ECGs, as of the last listing.",
)

runs = Table(
    "runs",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True, comment="Number of the run."),
    Column(
        "model_version",
        Text,
        ForeignKey("models.version"),
        nullable=False,
        comment="Model of the run. It stays the same to the end of the run.",
    ),
    Column("preprocessing_version", Text, nullable=False, comment="Version of the preprocessing."),
    Column(
        "gate_version",
        Text,
        comment="Version of the quality check, with a digest of limits that are not the defaults.",
    ),
    Column("state", Text, nullable=False, comment="running, finished, interrupted, abandoned or failed."),
    Column("code_version", Text, nullable=False, comment="Version of stence."),
    Column("device", Text, nullable=False, comment="Device of the model: cpu or cuda."),
    Column("host", Text, nullable=False, comment="Machine that ran it."),
    now("started_at", "Start."),
    moment("finished_at", "End."),
    Column("form", Text, nullable=False, server_default="fp32", comment="Numeric form of the scores."),
    Column("indexed", BigInteger, comment="ECGs on the model's worklist at the end."),
    Column("scored", BigInteger, comment="Of these: scored, by any run."),
    Column("quarantined", BigInteger, comment="Of these: in quarantine."),
    Column("pending", BigInteger, comment="Of these: not yet scored."),
    Column("scored_by_run", BigInteger, comment="Scored by this run."),
    Column("quarantined_by_run", BigInteger, comment="Put into quarantine by this run."),
    Column("error", Text, comment="Error of a failed run."),
    lease(),
    one_of("state", RUN_STATES),
    comment="Runs of the scorer: one model, one process.",
)

ecgs = Table(
    "ecgs",
    metadata,
    Column("content_hash", LargeBinary, primary_key=True, comment="SHA-256 of signal and sampling rate."),
    Column("patient_id", Text, nullable=False, comment="Patient, as the hospital numbers them."),
    moment("acquired_at", "Time of the recording."),
    Column("device", Text, comment="Electrocardiograph."),
    Column("sex", Text, comment="F or M, where the file says so."),
    Column("age", Double, comment="Years, where the file says so."),
    Column("sampling_rate", Double, nullable=False, comment="Hz, of the file."),
    Column("seconds", Double, nullable=False, comment="Length."),
    Column(
        "warnings", ARRAY(Text), nullable=False, server_default="{}", comment="Remarks on the ECG's quality."
    ),
    Column("object_id", BigInteger, ForeignKey("objects.id"), nullable=False, comment="File of the ECG."),
    now("first_read_at", "Time of the first reading."),
    Column(
        "id", BigInteger, Identity(always=True), nullable=False, unique=True, comment="Number of the ECG."
    ),
    Column("site", Text, comment="Site of the recording, from the file or the manifest."),
    Column("indication", Text, comment="Indication, from the file or the manifest."),
    Column(
        "local_timezone", Text, comment="Time zone of the recording time; empty: the file names a time zone."
    ),
    Column("device_serial", Text, comment="Serial number of the electrocardiograph."),
    Column("filters", Text, comment="Filters that the electrocardiograph applied."),
    Column(
        "measurements",
        JSONB,
        nullable=False,
        server_default="{}",
        comment="Measurements of the electrocardiograph: rate in 1/min, durations in ms, axes in degrees.",
    ),
    Column(
        "statements",
        ARRAY(Text),
        nullable=False,
        server_default="{}",
        comment="Statements of the electrocardiograph; nobody has confirmed them.",
    ),
    Column(
        "fingerprint",
        ARRAY(SmallInteger),
        comment="Means over 20 ms in microvolts at 64 places of the signal; empty: read before.",
    ),
    Index("ecgs_time_idx", text("coalesce(acquired_at, first_read_at)")),
    Index(
        "ecgs_patient_time_idx",
        "patient_id",
        text("coalesce(acquired_at, first_read_at)"),
        "id",
        postgresql_include=["site"],
    ),
    comment="ECGs by content: a recording that was sent twice has one row.",
)

ecg_moments = Table(
    "ecg_moments",
    metadata,
    Column(
        "moment",
        BigInteger,
        primary_key=True,
        autoincrement=False,
        comment="Hash of patient and second.",
    ),
    comment="Moments with an ECG: writers of the same ECG in two formats wait for each other here.",
)

scores = Table(
    "scores",
    metadata,
    Column("content_hash", LargeBinary, ForeignKey("ecgs.content_hash"), primary_key=True, comment="ECG."),
    Column(
        "model_version",
        Text,
        ForeignKey("models.version"),
        primary_key=True,
        comment="Model that scored it.",
    ),
    Column("preprocessing_version", Text, primary_key=True, comment="Version of the preprocessing."),
    *(
        Column(name, Double, nullable=False, comment=f"Calibrated probability of {name}, 0 to 1.")
        for name in TARGET_NAMES
    ),
    Column("run_id", UUID(as_uuid=True), ForeignKey("runs.id"), nullable=False, comment="Run."),
    now("scored_at", "When."),
    Column(
        "lower",
        ARRAY(Double),
        comment="Lower ends of the 95 % intervals of the six probabilities in order; empty: cannot tell.",
    ),
    Column(
        "upper",
        ARRAY(Double),
        comment="Upper ends of the 95 % intervals of the six probabilities in order; empty: cannot tell.",
    ),
    Column(
        "novelty",
        Double,
        comment="Percentage of held-out ECGs more like the model's training ECGs; empty: cannot tell.",
    ),
    Column("unlike", Boolean, comment="True: unlike the training ECGs, as 1 % of held-out ECGs are."),
    Index("scores_run_id_idx", "run_id"),
    Index("scores_model_version_stenosis_70_idx", "model_version", text("stenosis_70 DESC")),
    comment="Calibrated probabilities of severe stenosis, one row per ECG and model.",
)

flag_decisions = Table(
    "flag_decisions",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True, comment="Number of the decision."),
    now("decided_at", "When."),
    Column("decision", Text, nullable=False, comment="withdrawn or restored."),
    Column("decided_by", Text, nullable=False, comment="Name of the person who decided."),
    Column("reason", Text, nullable=False, comment="Reason."),
    Column("flags", BigInteger, nullable=False, comment="Flags that were withdrawn or restored."),
    Column("model_version", Text, comment="Withdrawn: only flags of this model; empty: of every model."),
    Column("device", Text, comment="Withdrawn: only ECGs of this electrocardiograph; empty: of all."),
    Column("first_day", Date, comment="Withdrawn: only ECGs of this day or later; empty: from the first on."),
    Column("last_day", Date, comment="Withdrawn: only ECGs of this day or earlier; empty: up to the last."),
    Column("withdrawal_id", BigInteger, ForeignKey("flag_decisions.id"), comment="Restored: the withdrawal."),
    one_of("decision", FLAG_DECISIONS),
    comment="Append-only history of flags that people withdrew, and of those that they restored.",
)

flags = Table(
    "flags",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True, comment="Number of the flag."),
    Column("content_hash", LargeBinary, ForeignKey("ecgs.content_hash"), nullable=False, comment="ECG."),
    Column("model_version", Text, ForeignKey("models.version"), nullable=False, comment="Model."),
    Column("target", Text, nullable=False, comment="Target of the flag."),
    Column("patient_id", Text, nullable=False, comment="Patient, as in ecgs."),
    Column("probability", Double, nullable=False, comment="Calibrated probability, 0 to 1."),
    Column("threshold", Double, nullable=False, comment="Threshold that the probability reached."),
    Column("rule", Text, nullable=False, comment="Method by which the threshold was chosen."),
    Column("state", Text, nullable=False, comment="open, dismissed, confirmed or withdrawn."),
    now("raised_at", "When."),
    Column("reviewed_by", Text, comment="Author of the last change of state."),
    moment("reviewed_at", "Time of the last change of state."),
    Column("note", Text, comment="Remark of the reviewer."),
    Column("withdrawn_for", Text, comment="Reason for which the flag was withdrawn."),
    Column(
        "withdrawal_id",
        BigInteger,
        ForeignKey("flag_decisions.id"),
        comment="Decision of the person who withdrew the flag.",
    ),
    UniqueConstraint("content_hash", "model_version", "target"),
    one_of("state", FLAG_STATES),
    one_of("withdrawn_for", WITHDRAWALS),
    Index(
        "flags_listed_idx",
        "probability",
        "id",
        postgresql_where=text(is_one_of("state", LISTED_FLAG_STATES)),
    ),
    Index(
        "flags_listed_patient_idx",
        "patient_id",
        "probability",
        "id",
        postgresql_where=text(is_one_of("state", LISTED_FLAG_STATES)),
    ),
    comment="Risk flags: an ECG, a target, a probability above its threshold.",
)

snoozes = Table(
    "snoozes",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True, comment="Order of the snoozes."),
    Column(
        "ecg_id",
        BigInteger,
        ForeignKey("ecgs.id"),
        nullable=False,
        index=True,
        comment="An ECG of the patient.",
    ),
    Column("until", Date, nullable=False, comment="Last day off the list; a past day ends it."),
    Column("snoozed_by", Text, nullable=False, comment="Name of the person who decided."),
    Column("reason", Text, nullable=False, comment="Reason."),
    now("snoozed_at", "When."),
    login(),
    comment="Append-only: patients off the list until a day; the newest of a patient's ECGs holds.",
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True, comment="Number of the row."),
    Column("object_id", BigInteger, ForeignKey("objects.id"), nullable=False, comment="The file."),
    Column("etag", Text, nullable=False, comment="The content that could not be used."),
    Column("reason", Text, nullable=False, comment="Code of the reason."),
    Column("detail", Text, nullable=False, comment="Finding and action, in words."),
    Column("lead", Text, comment="Lead with the fault."),
    Column("value", Double, comment="Measured value."),
    Column("state", Text, nullable=False, comment="open, retried, resolved or dismissed."),
    Column("run_id", UUID(as_uuid=True), ForeignKey("runs.id"), comment="Run of the scorer; ECGs only."),
    now("entered_at", "Time of the entry."),
    Column("closed_by", Text, comment="Person who closed the row, or stence."),
    moment("closed_at", "Time at which the row was closed."),
    Column("content_hash", LargeBinary, comment="ECG in the file, if it could be read."),
    one_of("state", QUARANTINE_STATES),
    Index("quarantine_one_open", "object_id", unique=True, postgresql_where=text("state = 'open'")),
    Index("quarantine_run_id_idx", "run_id"),
    Index("quarantine_dismissed", "object_id", postgresql_where=text("state = 'dismissed'")),
    Index("quarantine_conflicts", "content_hash", postgresql_where=text("content_hash IS NOT NULL")),
    comment="ECG and angiogram files that could not be used, and why.",
)

schema_views = Table(
    "schema_views",
    metadata,
    Column("name", Text, primary_key=True, comment="Name of the view."),
    Column("sha256", Text, nullable=False, comment="SHA-256 of the view's file."),
    comment="The views of sql/views as they were last created.",
)

schema_functions = Table(
    "schema_functions",
    metadata,
    Column("name", Text, primary_key=True, comment="Name of the file."),
    Column("sha256", Text, nullable=False, comment="SHA-256 of the file."),
    comment="The files of sql/functions as they were last applied.",
)
