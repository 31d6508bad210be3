"""What models are trained on: cath reports, angiograms, pairs with ECGs; trainings and validations."""

from __future__ import annotations

from sqlalchemy import (
    REAL,
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

from stence.database.tables.columns import lease, metadata, moment, now, one_of
from stence.database.tables.identity import SPLITS

VIEW_STATES = ("pending", "ready", "quarantined")
TRAINING_STATES = ("running", "finished", "skipped", "failed", "interrupted", "abandoned")

cath_studies = Table(
    "cath_studies",
    metadata,
    Column("study_id", Text, primary_key=True, comment="Study, as the cath report numbers it."),
    Column("patient_id", Text, nullable=False, comment="Pseudonym of the patient."),
    moment("performed_at", "Time of the angiography.", nullable=False),
    Column(
        "split",
        Text,
        nullable=False,
        comment="train, validation, calibration or test; depends on the patient only.",
    ),
    Column("max_degree", Double, nullable=False, comment="Worst narrowing of the 16 segments, percent."),
    moment("intervention_at", "First intervention that the report tells of; later ECGs are not paired."),
    Column("report_key", Text, nullable=False, comment="Object key of the report that last named it."),
    Column("fingerprint", Text, nullable=False, comment="SHA-256 of the study's contents in the reports."),
    now("changed_at", "Time of the last change in the reports."),
    now(
        "first_seen_at",
        "Time at which a report first named the study, unknown to earlier scores.",
    ),
    one_of("split", SPLITS),
    Index("cath_studies_patient_id_performed_at_idx", "patient_id", "performed_at"),
    comment="Usable studies of all present cath reports.",
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

angiogram_views = Table(
    "angiogram_views",
    metadata,
    Column("object_id", BigInteger, ForeignKey("objects.id"), primary_key=True, comment="File."),
    Column("etag", Text, nullable=False, comment="Version of the content that this row describes."),
    Column("state", Text, nullable=False, comment="pending, ready or quarantined."),
    Column(
        "sop_instance_uid",
        Text,
        index=True,
        comment="DICOM instance number of the angiogram; empty until the file is read.",
    ),
    Column("study_instance_uid", Text, comment="DICOM number of the study."),
    Column("accession_number", Text, comment="Number of the order, in DICOM."),
    Column("dicom_study_id", Text, comment="Study ID, in DICOM."),
    Column("patient_id", Text, index=True, comment="Pseudonym of the patient in the file."),
    moment("acquired_at", "Time of the recording, from the file."),
    Column(
        "local_timezone", Text, comment="Time zone of the recording time; empty: the file names a time zone."
    ),
    Column("primary_angle", Double, comment="C-arm: degrees, positive towards the patient's left (LAO)."),
    Column("secondary_angle", Double, comment="C-arm: degrees, positive towards the head (cranial)."),
    Column("frames", Integer, comment="Number of frames."),
    Column("key_frame", Integer, comment="Frame with the most contrast-filled vessel, from 0 on."),
    Column(
        "study_id",
        Text,
        ForeignKey("cath_studies.study_id", ondelete="SET NULL"),
        index=True,
        comment="Cath study with the report of this angiogram; empty without a report.",
    ),
    now("changed_at", "Time of the last change of content, study or derived data."),
    one_of("state", VIEW_STATES),
    comment="State of every angiogram: waiting for report or key frame, ready, or in quarantine.",
)

angiogram_features = Table(
    "angiogram_features",
    metadata,
    Column(
        "object_id",
        BigInteger,
        ForeignKey("angiogram_views.object_id"),
        primary_key=True,
        comment="Angiogram.",
    ),
    Column("backbone", Text, primary_key=True, comment="Version of the backbone that computed them."),
    Column("etag", Text, nullable=False, comment="The content they were computed from."),
    Column(
        "versions", Integer, nullable=False, comment="Versions of each frame: 0 as it is, then augmented."
    ),
    Column(
        "frames",
        Integer,
        nullable=False,
        server_default=text("1"),
        comment="Consecutive frames around the key frame; 1: the key frame alone.",
    ),
    now("computed_at", "When."),
    comment="Patch features of key frames in the store.",
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
    Column("patient_id", Text, nullable=False, index=True, comment="Pseudonym of the patient."),
    Column(
        "split",
        Text,
        nullable=False,
        comment="train, validation, calibration or test; depends on the patient only.",
    ),
    Column("days_before", Double, nullable=False, comment="Days from the ECG to the study."),
    Column(
        "weight",
        Double,
        nullable=False,
        comment="Sample weight: one over the number of the patient's ECGs in this table.",
    ),
    now("paired_at", "Time of the first pairing."),
    one_of("split", SPLITS),
    comment="ECGs that the last training paired with a cath study.",
)

study_embeddings = Table(
    "study_embeddings",
    metadata,
    Column(
        "model_version",
        Text,
        ForeignKey("models.version", ondelete="CASCADE"),
        primary_key=True,
        comment="Model whose shared space it is.",
    ),
    Column(
        "study_id",
        Text,
        ForeignKey("cath_studies.study_id", ondelete="CASCADE"),
        primary_key=True,
        index=True,
        comment="Cath study of a training patient.",
    ),
    Column(
        "number",
        BigInteger,
        Identity(always=True),
        nullable=False,
        unique=True,
        comment="Pseudonym of the study, another one in each model.",
    ),
    Column(
        "embedding",
        ARRAY(REAL),
        nullable=False,
        comment="Unit vector of the study's angiograms; 256 values, zeros after the model's own.",
    ),
    CheckConstraint("cardinality(embedding) = 256", name="embedding"),
    comment="Training studies in the shared space of ECGs and angiograms, by model.",
)

training_runs = Table(
    "training_runs",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True, comment="Number of the run."),
    Column("preset", Text, nullable=False, comment="Name of the configuration."),
    Column(
        "state", Text, nullable=False, comment="running, finished, skipped, failed, interrupted or abandoned."
    ),
    Column("stage", Text, comment="Current or last stage."),
    now("started_at", "Start."),
    moment("data_as_of", "Time of the data: studies, angiograms and ECGs known by then."),
    moment("finished_at", "End."),
    Column("new_pairs", BigInteger, comment="New ECG-angiogram pairs since the last finished training."),
    Column("data_fingerprint", Text, comment="SHA-256 over its ECGs, labels, angiograms and splits."),
    Column("config", JSONB, nullable=False, comment="The configuration in full."),
    Column("figures", JSONB, comment="Metrics on the test patients."),
    Column("model_version", Text, ForeignKey("models.version"), comment="Model that the training created."),
    Column("outcome", Text, comment="Outcome of the gate: state of the model after the gate."),
    Column(
        "reasons",
        ARRAY(Text),
        nullable=False,
        server_default="{}",
        comment="Reason for the outcome: skipped, rejected or passed.",
    ),
    Column("error", Text, comment="Error of a failed run."),
    lease(),
    one_of("state", TRAINING_STATES),
    Index("training_runs_one_running", "state", unique=True, postgresql_where=text("state = 'running'")),
    Index("training_runs_started_at_idx", "started_at"),
    comment="Trainings from cath reports, angiograms and ECGs, including skipped trainings.",
)

validations = Table(
    "validations",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True, comment="Number of the validation."),
    Column(
        "model_version",
        Text,
        ForeignKey("models.version"),
        nullable=False,
        index=True,
        comment="Model, measured as it is: nothing of it was fitted again.",
    ),
    now("ran_at", "Time of the validation."),
    moment("window_start", "Studies from here on; empty: from the first study on."),
    moment("window_end", "Studies before this time; empty: up to the last study."),
    Column("sites", ARRAY(Text), nullable=False, comment="Only ECGs of these sites; empty: all sites."),
    Column("ecgs", BigInteger, nullable=False, comment="ECGs in the figures."),
    Column("patients", BigInteger, nullable=False, comment="Patients in the figures."),
    Column("figures", JSONB, nullable=False, comment="The whole report as JSON; names no patient."),
    Column("report_key", Text, nullable=False, comment="Key of the report, an HTML page, in the store."),
    Column("files", JSONB, nullable=False, comment="Key and SHA-256 of each file of the report."),
    Column("code_version", Text, nullable=False, comment="Version of stence."),
    comment="Validations of frozen models on patients that they did not learn from.",
)
