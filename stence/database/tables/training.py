"""What models are trained on: cath reports, angiograms, their pairs with ECGs; and the trainings."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
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
TRAINING_STATES = ("running", "finished", "skipped", "failed", "interrupted")

cath_studies = Table(
    "cath_studies",
    metadata,
    Column("study_id", Text, primary_key=True, comment="Study, as the cath report numbers it."),
    Column("patient_id", Text, nullable=False, comment="Patient, as the hospital numbers them."),
    moment("performed_at", "When the angiography was done.", nullable=False),
    Column(
        "split", Text, nullable=False, comment="train, validation, calibration or test: by the patient alone."
    ),
    Column("max_degree", Double, nullable=False, comment="Worst narrowing of the 16 segments, percent."),
    moment("intervention_at", "First intervention that the report tells of; later ECGs are not paired."),
    Column("report_key", Text, nullable=False, comment="Object key of the report that last named it."),
    Column("fingerprint", Text, nullable=False, comment="SHA-256 of all that the reports say of it."),
    now("changed_at", "When that was last seen to change."),
    now("first_seen_at", "When a report first named it: what was scored before could not know it."),
    one_of("split", SPLITS),
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
    moment("acquired_at", "When it was recorded, as the file says."),
    Column("local_timezone", Text, comment="Time zone that it was read in; empty: it named its own."),
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
    now("changed_at", "When its content, its study or what is known of it last changed."),
    one_of("state", VIEW_STATES),
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
    now("computed_at", "When."),
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
    now("paired_at", "When it was first paired."),
    one_of("split", SPLITS),
    comment="ECGs that the last training paired with a cath study.",
)

training_runs = Table(
    "training_runs",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True, comment="Number of the run."),
    Column("preset", Text, nullable=False, comment="Name of the configuration."),
    Column("state", Text, nullable=False, comment="running, finished, skipped, failed or interrupted."),
    Column("stage", Text, comment="What it does, or did last."),
    now("started_at", "Start."),
    moment("data_as_of", "Studies, angiograms and ECGs that were known then are in its data."),
    moment("finished_at", "End."),
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
    lease(),
    one_of("state", TRAINING_STATES),
    Index("training_runs_one_running", "state", unique=True, postgresql_where=text("state = 'running'")),
    Index("training_runs_started_at_idx", "started_at"),
    comment="Trainings from cath reports, angiograms and ECGs: one row a run, also where it was skipped.",
)
