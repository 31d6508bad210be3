"""The tables. Migrations in ``sql/migrations`` build exactly these; a test compares the two.

An ECG's way: ``objects`` (what lies in the store) -> ``worklist`` (one row for each model version that is
to score it) -> ``ecgs``, ``scores`` and ``flags``, or ``quarantine``. Only ``worklist.state`` says where it
ended.

An angiogram's: ``objects`` -> ``angiogram_views``, whose state says where it ended -> ``angiogram_features``,
or ``quarantine``. Cath reports become ``cath_studies`` and ``segment_stenoses``, or ``report_faults``;
``ecg_study_pairs`` is what a training paired.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)

# stence.models.TARGET_NAMES, which would bring torch with it: seconds for every look into the database.
TARGETS = ("stenosis_50", "stenosis_70", "stenosis_90", "stenosis_100", "rca_70", "lca_70")
WORK_STATES = ("pending", "leased", "scored", "quarantined")
MODEL_STATES = ("candidate", "shadow", "champion", "retired", "rejected")
RUN_STATES = ("running", "finished", "interrupted", "failed")
FLAG_STATES = ("open", "reviewed", "dismissed", "confirmed", "withdrawn")
LISTED_FLAG_STATES = ("open", "reviewed", "confirmed")
QUARANTINE_STATES = ("open", "retried", "resolved", "dismissed")
OBJECT_KINDS = ("ecg", "angiogram")
VIEW_STATES = ("pending", "ready", "quarantined")
SPLITS = ("train", "validation", "calibration", "test")
FAULT_STATES = ("open", "mended")
TRAINING_STATES = ("running", "finished", "skipped", "failed", "interrupted")


def _is_one_of(column: str, values: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    return CheckConstraint(_is_one_of(column, values), name=column)


def _moment(name: str, comment: str, *, nullable: bool = True, **options: Any) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=nullable, comment=comment, **options)


def _now(name: str, comment: str) -> Column[Any]:
    return _moment(name, comment, nullable=False, server_default=func.now())


models = Table(
    "models",
    metadata,
    Column("version", Text, primary_key=True, comment="Name of the model version."),
    Column("state", Text, nullable=False, comment="candidate, shadow, champion, retired or rejected."),
    Column("folder", Text, nullable=False, comment="Key of the artefact's folder in the object store."),
    Column("sha256", Text, nullable=False, comment="SHA-256 of the artefact's manifest.json."),
    Column("preprocessing_version", Text, nullable=False, comment="How its ECGs are prepared."),
    Column("manifest", JSONB, nullable=False, comment="The artefact's manifest.json."),
    _now("created_at", "When it was registered."),
    _one_of("state", MODEL_STATES),
    Index("models_one_champion", "state", unique=True, postgresql_where=text("state = 'champion'")),
    comment="Trained models and their state; at most one is champion.",
)

model_events = Table(
    "model_events",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True, comment="Order of the changes."),
    Column("version", Text, ForeignKey("models.version"), nullable=False, comment="Which model."),
    Column("from_state", Text, comment="State before; empty at registration."),
    Column("to_state", Text, nullable=False, comment="State after."),
    Column("changed_by", Text, nullable=False, comment="Who changed it."),
    Column("reason", Text, nullable=False, comment="Why."),
    _now("changed_at", "When."),
    comment="Append-only history of model states.",
)

manifest_records = Table(
    "manifest_records",
    metadata,
    Column("record_key", Text, primary_key=True, comment="Object key of the ECG without its extension."),
    Column("manifest_key", Text, nullable=False, comment="Object key of the record_list.csv."),
    Column("patient_id", Text, nullable=False, comment="subject_id of the row."),
    Column("study_id", Text, comment="study_id of the row."),
    _moment("acquired_at", "ecg_time of the row."),
    comment="Patients and times that manifests give for ECG files which name none themselves.",
)

manifests = Table(
    "manifests",
    metadata,
    Column("key", Text, primary_key=True, comment="Object key of a record_list.csv."),
    Column("etag", Text, nullable=False, comment="Version of the content that was read."),
    Column("rows_read", BigInteger, nullable=False, comment="Rows taken up."),
    Column("rows_refused", BigInteger, nullable=False, comment="Rows that could not be used."),
    _now("read_at", "When it was read."),
    comment="Manifests that were read, so that an unchanged one is not read again.",
)

objects = Table(
    "objects",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True, comment="Number of the object."),
    Column("key", Text, nullable=False, unique=True, comment="Key of its main file in the store."),
    Column("record_key", Text, nullable=False, index=True, comment="The key without its extension."),
    Column("etag", Text, nullable=False, comment="Version of the content, of all the record's files."),
    Column("size_bytes", BigInteger, nullable=False, comment="Size of all the record's files."),
    Column("content_hash", LargeBinary, index=True, comment="The ECG that was last read from it."),
    Column("patient_id", Text, comment="The patient under whom that ECG came."),
    _now("first_seen_at", "When it was first listed."),
    _now("changed_at", "When its content was last seen to change."),
    Column("kind", Text, nullable=False, server_default="ecg", comment="ecg or angiogram."),
    _one_of("kind", OBJECT_KINDS),
    comment="ECG and angiogram files in the object store, by key.",
)

runs = Table(
    "runs",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True, comment="Number of the run."),
    Column("model_version", Text, ForeignKey("models.version"), nullable=False, comment="Pinned."),
    Column("preprocessing_version", Text, nullable=False, comment="How ECGs were prepared."),
    Column("state", Text, nullable=False, comment="running, finished, interrupted or failed."),
    Column("code_version", Text, nullable=False, comment="Version of stence."),
    Column("device", Text, nullable=False, comment="Where the model ran: cpu or cuda."),
    Column("host", Text, nullable=False, comment="Machine that ran it."),
    _now("started_at", "Start."),
    _moment("finished_at", "End."),
    Column("indexed", BigInteger, comment="ECGs on the model's worklist at the end."),
    Column("scored", BigInteger, comment="Of these: scored, by any run."),
    Column("quarantined", BigInteger, comment="Of these: in quarantine."),
    Column("pending", BigInteger, comment="Of these: not yet scored."),
    Column("scored_by_run", BigInteger, comment="Scored by this run."),
    Column("quarantined_by_run", BigInteger, comment="Put into quarantine by this run."),
    Column("error", Text, comment="Why it failed."),
    _one_of("state", RUN_STATES),
    comment="Runs of the scorer: one model, one process.",
)

worklist = Table(
    "worklist",
    metadata,
    Column("object_id", BigInteger, ForeignKey("objects.id"), primary_key=True, comment="Which file."),
    Column(
        "model_version",
        Text,
        ForeignKey("models.version"),
        primary_key=True,
        comment="Which model is to score it.",
    ),
    Column("etag", Text, nullable=False, comment="The content this row is about."),
    Column("state", Text, nullable=False, comment="pending, leased, scored or quarantined."),
    Column("attempt", Integer, nullable=False, server_default="0", comment="Fences off late writers."),
    Column("run_id", UUID(as_uuid=True), comment="The run that holds or ended it."),
    _moment("lease_expires_at", "From when on another scorer may take it over."),
    _now("changed_at", "When the state last changed."),
    _one_of("state", WORK_STATES),
    Index(
        "worklist_open_idx",
        "model_version",
        "object_id",
        postgresql_where=text("state IN ('pending', 'leased')"),
    ),
    Index("worklist_run_idx", "run_id", postgresql_where=text("state = 'leased'")),
    comment="Where every ECG is, for every model that scores it.",
)

ecgs = Table(
    "ecgs",
    metadata,
    Column("content_hash", LargeBinary, primary_key=True, comment="SHA-256 of signal and sampling rate."),
    Column("patient_id", Text, nullable=False, index=True, comment="Patient, as the hospital numbers them."),
    _moment("acquired_at", "When it was recorded."),
    Column("device", Text, comment="Electrocardiograph."),
    Column("sex", Text, comment="F or M, where the file says so."),
    Column("age", Double, comment="Years, where the file says so."),
    Column("sampling_rate", Double, nullable=False, comment="Hz, of the file."),
    Column("seconds", Double, nullable=False, comment="Length."),
    Column("warnings", ARRAY(Text), nullable=False, server_default="{}", comment="Remarks on its quality."),
    Column("object_id", BigInteger, ForeignKey("objects.id"), nullable=False, comment="File it came from."),
    _now("first_read_at", "When it was first read."),
    comment="ECGs by content: the same recording sent twice is one row.",
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
    Column("preprocessing_version", Text, primary_key=True, comment="How the ECG was prepared."),
    *(
        Column(name, Double, nullable=False, comment=f"Calibrated probability of {name}, 0 to 1.")
        for name in TARGETS
    ),
    Column("run_id", UUID(as_uuid=True), ForeignKey("runs.id"), nullable=False, comment="Run."),
    _now("scored_at", "When."),
    Index("scores_model_version_stenosis_70_idx", "model_version", text("stenosis_70 DESC")),
    comment="Calibrated probabilities of severe stenosis, one row an ECG and model.",
)

flags = Table(
    "flags",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True, comment="Number of the flag."),
    Column("content_hash", LargeBinary, ForeignKey("ecgs.content_hash"), nullable=False, comment="ECG."),
    Column("model_version", Text, ForeignKey("models.version"), nullable=False, comment="Model."),
    Column("target", Text, nullable=False, comment="What it warns of."),
    Column("patient_id", Text, nullable=False, comment="Patient, as in ecgs."),
    Column("probability", Double, nullable=False, comment="Calibrated probability, 0 to 1."),
    Column("threshold", Double, nullable=False, comment="Raised because the probability reached this."),
    Column("rule", Text, nullable=False, comment="How the threshold was chosen."),
    Column("state", Text, nullable=False, comment="open, reviewed, dismissed, confirmed or withdrawn."),
    _now("raised_at", "When."),
    Column("reviewed_by", Text, comment="Who last changed the state."),
    _moment("reviewed_at", "When the state last changed."),
    Column("note", Text, comment="Remark of the reviewer."),
    UniqueConstraint("content_hash", "model_version", "target"),
    _one_of("state", FLAG_STATES),
    Index(
        "flags_listed_idx",
        "probability",
        "id",
        postgresql_where=text(_is_one_of("state", LISTED_FLAG_STATES)),
    ),
    Index(
        "flags_listed_patient_idx",
        "patient_id",
        "probability",
        "id",
        postgresql_where=text(_is_one_of("state", LISTED_FLAG_STATES)),
    ),
    comment="Risk flags: an ECG, a target, a probability above its threshold.",
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True, comment="Number of the row."),
    Column("object_id", BigInteger, ForeignKey("objects.id"), nullable=False, comment="The file."),
    Column("etag", Text, nullable=False, comment="The content that could not be used."),
    Column("reason", Text, nullable=False, comment="Code of the reason."),
    Column("detail", Text, nullable=False, comment="What was found, in words, and what to do."),
    Column("lead", Text, comment="The lead concerned."),
    Column("value", Double, comment="What was measured."),
    Column("state", Text, nullable=False, comment="open, retried, resolved or dismissed."),
    Column("run_id", UUID(as_uuid=True), ForeignKey("runs.id"), comment="Run of the scorer; ECGs only."),
    _now("entered_at", "When it came in."),
    Column("closed_by", Text, comment="Who or what closed it."),
    _moment("closed_at", "When it was closed."),
    _one_of("state", QUARANTINE_STATES),
    Index("quarantine_one_open", "object_id", unique=True, postgresql_where=text("state = 'open'")),
    comment="ECG and angiogram files that could not be used, and why.",
)

monitoring_metrics = Table(
    "monitoring_metrics",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True, comment="Number of the row."),
    Column("run_id", UUID(as_uuid=True), ForeignKey("runs.id"), index=True, comment="The run it is about."),
    Column("model_version", Text, ForeignKey("models.version"), comment="The model it is about."),
    Column("name", Text, nullable=False, comment="What was measured, with its unit."),
    Column("slice_key", Text, comment="What the figure is restricted to, e.g. stage or device."),
    Column("slice_value", Text, comment="Which one."),
    Column("value", Double, nullable=False, comment="The figure."),
    Column("lower", Double, comment="Lower end of its 95 % interval."),
    Column("upper", Double, comment="Upper end of its 95 % interval."),
    Column("count", BigInteger, comment="How many observations it rests on."),
    _moment("window_start", "Start of the time it is about.", nullable=False),
    _moment("window_end", "End of the time it is about.", nullable=False),
    _now("measured_at", "When it was computed."),
    Index("monitoring_metrics_name_window_end_idx", "name", "window_end"),
    comment="Figures about runs, inputs, scores and outcomes over time.",
)

cath_studies = Table(
    "cath_studies",
    metadata,
    Column("study_id", Text, primary_key=True, comment="Study, as the cath report numbers it."),
    Column("patient_id", Text, nullable=False, comment="Patient, as the hospital numbers them."),
    _moment("performed_at", "When the angiography was done.", nullable=False),
    Column(
        "split", Text, nullable=False, comment="train, validation, calibration or test: by the patient alone."
    ),
    Column("max_degree", Double, nullable=False, comment="Worst narrowing of the 16 segments, percent."),
    _moment("intervention_at", "First intervention that the report tells of; later ECGs are not paired."),
    Column("report_key", Text, nullable=False, comment="Object key of the report that last named it."),
    Column("fingerprint", Text, nullable=False, comment="SHA-256 of all that the reports say of it."),
    _now("changed_at", "When that was last seen to change."),
    _one_of("split", SPLITS),
    Index("cath_studies_patient_id_performed_at_idx", "patient_id", "performed_at"),
    comment="Usable studies of the cath reports, as the reports are now.",
)

segment_stenoses = Table(
    "segment_stenoses",
    metadata,
    Column(
        "study_id",
        Text,
        ForeignKey("cath_studies.study_id", ondelete="CASCADE"),
        primary_key=True,
        comment="Study.",
    ),
    Column("segment", Integer, primary_key=True, comment="Coronary segment, 1 to 16."),
    Column("degree", Double, nullable=False, comment="Narrowing in percent."),
    CheckConstraint("segment BETWEEN 1 AND 16", name="segment"),
    CheckConstraint("degree > 0 AND degree <= 100", name="degree"),
    comment="Narrowed segments of each study; those without a row are open.",
)

report_faults = Table(
    "report_faults",
    metadata,
    Column("report_key", Text, primary_key=True, comment="Object key of the cath report."),
    Column("line", BigInteger, primary_key=True, comment="Line of the file; of Parquet, the row from 1 on."),
    Column("reason", Text, nullable=False, comment="Code of what is wrong with it."),
    Column("state", Text, nullable=False, comment="open; mended once it is seen no more."),
    _now("first_seen_at", "When it was first seen."),
    _now("seen_at", "When it was last seen."),
    _one_of("state", FAULT_STATES),
    comment="Rows of cath reports that cannot be used. Their studies are left out until they are mended.",
)

angiogram_views = Table(
    "angiogram_views",
    metadata,
    Column("object_id", BigInteger, ForeignKey("objects.id"), primary_key=True, comment="Its file."),
    Column("etag", Text, nullable=False, comment="The content this row is about."),
    Column("state", Text, nullable=False, comment="pending, ready or quarantined."),
    Column("sop_instance_uid", Text, index=True, comment="The run's own number; empty until it is read."),
    Column("study_instance_uid", Text, comment="DICOM number of the study that it is part of."),
    Column("accession_number", Text, comment="Number of the order, in DICOM."),
    Column("dicom_study_id", Text, comment="Study ID, in DICOM."),
    Column("patient_id", Text, index=True, comment="Patient, as the file says."),
    _moment("acquired_at", "When it was recorded, as the file says."),
    Column("primary_angle", Double, comment="C-arm: degrees, positive towards the patient's left (LAO)."),
    Column("secondary_angle", Double, comment="C-arm: degrees, positive towards the head (cranial)."),
    Column("frames", Integer, comment="Number of frames."),
    Column("key_frame", Integer, comment="Frame with the most contrast-filled vessel, from 0 on."),
    Column(
        "study_id",
        Text,
        ForeignKey("cath_studies.study_id", ondelete="SET NULL"),
        index=True,
        comment="Cath study whose report tells what it shows; empty while there is none.",
    ),
    _now("changed_at", "When its content, its study or what is known of it last changed."),
    _one_of("state", VIEW_STATES),
    comment="Where every angiogram is: waiting for its report or its key frame, ready, or in quarantine.",
)

angiogram_features = Table(
    "angiogram_features",
    metadata,
    Column(
        "object_id",
        BigInteger,
        ForeignKey("angiogram_views.object_id"),
        primary_key=True,
        comment="Which angiogram.",
    ),
    Column("backbone", Text, primary_key=True, comment="Version of the backbone that computed them."),
    Column("etag", Text, nullable=False, comment="The content they were computed from."),
    Column(
        "versions", Integer, nullable=False, comment="Versions of the key frame: 0 as it is, then augmented."
    ),
    _now("computed_at", "When."),
    comment="Patch features that the store holds of key frames.",
)

ecg_study_pairs = Table(
    "ecg_study_pairs",
    metadata,
    Column("content_hash", LargeBinary, primary_key=True, comment="SHA-256 of the ECG, as in ecgs."),
    Column(
        "study_id",
        Text,
        ForeignKey("cath_studies.study_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
        comment="Cath study that the ECG came before.",
    ),
    Column("object_id", BigInteger, ForeignKey("objects.id"), nullable=False, comment="The ECG's file."),
    Column("patient_id", Text, nullable=False, index=True, comment="Patient, as the hospital numbers them."),
    Column(
        "split", Text, nullable=False, comment="train, validation, calibration or test: by the patient alone."
    ),
    Column("days_before", Double, nullable=False, comment="From the ECG to the study."),
    Column("weight", Double, nullable=False, comment="One over the number of the patient's ECGs here."),
    _now("paired_at", "When it was first paired."),
    _one_of("split", SPLITS),
    comment="ECGs that the last training paired with a cath study.",
)

training_runs = Table(
    "training_runs",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True, comment="Number of the run."),
    Column("preset", Text, nullable=False, comment="Name of the configuration."),
    Column("state", Text, nullable=False, comment="running, finished, skipped, failed or interrupted."),
    Column("stage", Text, comment="What it does, or did last."),
    _now("started_at", "Start."),
    _moment("data_as_of", "Studies, angiograms and ECGs that were known then are in its data."),
    _moment("finished_at", "End."),
    Column("new_pairs", BigInteger, comment="ECG-angiogram pairs that were new since the last finished one."),
    Column("data_fingerprint", Text, comment="SHA-256 over its ECGs, labels, angiograms and splits."),
    Column("config", JSONB, nullable=False, comment="The configuration in full."),
    Column("figures", JSONB, comment="What was measured."),
    Column("model_version", Text, ForeignKey("models.version"), comment="The model that came of it."),
    Column("outcome", Text, comment="What became of the model: its state after the gate."),
    Column(
        "reasons",
        ARRAY(Text),
        nullable=False,
        server_default="{}",
        comment="Why: skipped, rejected or passed.",
    ),
    Column("error", Text, comment="Why it failed."),
    _one_of("state", TRAINING_STATES),
    Index("training_runs_started_at_idx", "started_at"),
    comment="Trainings from cath reports, angiograms and ECGs: one row a run, also where it was skipped.",
)

schema_views = Table(
    "schema_views",
    metadata,
    Column("name", Text, primary_key=True, comment="Name of the view."),
    Column("sha256", Text, nullable=False, comment="SHA-256 of the file it was made from."),
    comment="The views of sql/views as they were last created.",
)
