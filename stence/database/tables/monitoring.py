"""What is watched: figures, ECG measurements and embeddings, reference profiles, reviews and alerts."""

from __future__ import annotations

from sqlalchemy import (
    REAL,
    BigInteger,
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

from stence.database.tables.columns import lease, login, metadata, moment, now, one_of

REVIEW_OUTCOMES = ("confirmed", "dismissed")
ALERT_STATES = ("open", "acknowledged", "resolved")
ALERT_EVENTS = ("opened", "acknowledged", "resolved", "reopened")
SEVERITIES = ("info", "warning", "critical")
MONITOR_STATES = ("running", "finished", "interrupted", "abandoned", "failed")

_SLICE = ("coalesce(model_version, '')", "coalesce(slice_key, '')", "coalesce(slice_value, '')")
"""Columns that may be empty, so that a unique index takes two empty ones for the same."""

monitoring_metrics = Table(
    "monitoring_metrics",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True, comment="Number of the row."),
    Column("run_id", UUID(as_uuid=True), ForeignKey("runs.id"), index=True, comment="Run of the metric."),
    Column("model_version", Text, ForeignKey("models.version"), comment="Model of the metric."),
    Column("name", Text, nullable=False, comment="Name of the metric, with its unit."),
    Column(
        "slice_key", Text, comment="Kind of slice that the metric is restricted to, e.g. stage or device."
    ),
    Column("slice_value", Text, comment="Value of the slice, e.g. the device's name."),
    Column("value", Double, nullable=False, comment="Value of the metric."),
    Column("lower", Double, comment="Lower end of its 95 % interval."),
    Column("upper", Double, comment="Upper end of its 95 % interval."),
    Column("count", BigInteger, comment="Number of observations."),
    moment("window_start", "Start of the window.", nullable=False),
    moment("window_end", "End of the window.", nullable=False),
    now("measured_at", "Time of the computation."),
    Index("monitoring_metrics_name_window_end_idx", "name", "window_end"),
    Index(
        "monitoring_metrics_once_idx",
        "window_start",
        "window_end",
        "name",
        *map(text, _SLICE),
        unique=True,
        postgresql_where=text("run_id IS NULL"),
    ),
    comment="Metrics of runs, inputs, scores and outcomes over time.",
)

ecg_measurements = Table(
    "ecg_measurements",
    metadata,
    Column("content_hash", LargeBinary, ForeignKey("ecgs.content_hash"), primary_key=True, comment="ECG."),
    Column("heart_rate", Double, comment="Beats a minute; empty where no beats were found."),
    Column("r_mv", ARRAY(Double), nullable=False, comment="Height of R in mV, I II III aVR aVL aVF V1-V6."),
    Column("s_mv", ARRAY(Double), nullable=False, comment="Depth of Q or S in mV, by lead as r_mv."),
    Column("noise_uv", ARRAY(Double), nullable=False, comment="Noise above 40 Hz in µV, by lead as r_mv."),
    comment="Measurements of each ECG at its first score, for input drift.",
)

ecg_embeddings = Table(
    "ecg_embeddings",
    metadata,
    Column("content_hash", LargeBinary, ForeignKey("ecgs.content_hash"), primary_key=True, comment="ECG."),
    Column(
        "model_version", Text, ForeignKey("models.version"), primary_key=True, comment="Model of the encoder."
    ),
    Column("sketch", ARRAY(REAL), nullable=False, comment="Fixed random projection of the embedding."),
    comment="Projected embeddings of each ECG by model, for embedding drift.",
)

reference_profiles = Table(
    "reference_profiles",
    metadata,
    Column(
        "model_version",
        Text,
        ForeignKey("models.version"),
        primary_key=True,
        comment="Model of the reference.",
    ),
    now("made_at", "Time of the creation."),
    moment("window_start", "Start of the ECGs' window.", nullable=False),
    moment("window_end", "End of that time.", nullable=False),
    Column("ecgs", Integer, nullable=False, comment="Number of ECGs."),
    Column("profile", JSONB, nullable=False, comment="Distributions of inputs, scores and embeddings."),
    comment="Reference of each model: distributions of its ECGs and scores, for drift.",
)

reviews = Table(
    "reviews",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True, comment="Order of the reviews."),
    Column(
        "ecg_id", BigInteger, ForeignKey("ecgs.id"), nullable=False, index=True, comment="Number of the ECG."
    ),
    Column("outcome", Text, nullable=False, comment="confirmed or dismissed."),
    Column("reviewed_by", Text, nullable=False, comment="Name of the reviewer."),
    now("reviewed_at", "When."),
    Column("note", Text, comment="Remark of the reviewer."),
    login(),
    one_of("outcome", REVIEW_OUTCOMES),
    comment="Append-only history of verdicts on flagged ECGs. review_ecg() writes this table.",
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True, comment="Number of the alert."),
    Column("rule", Text, nullable=False, comment="Name of the rule that raised the alert."),
    Column("severity", Text, nullable=False, comment="info, warning or critical."),
    Column("metric", Text, nullable=False, comment="Metric that the rule examines."),
    Column("model_version", Text, ForeignKey("models.version"), comment="Model of the metric."),
    Column("slice_key", Text, comment="Kind of slice that the metric is restricted to, e.g. device."),
    Column("slice_value", Text, comment="Value of the slice, e.g. the device's name."),
    Column("state", Text, nullable=False, comment="open, acknowledged or resolved."),
    Column("value", Double, comment="Last value of the metric."),
    Column("detail", Text, nullable=False, comment="Finding and action, in words; names no patient."),
    now("opened_at", "Time at which the alert was opened."),
    now("last_seen_at", "Last time at which the condition held."),
    moment("last_window_end", "End of the last window in which the condition held."),
    moment("acknowledged_at", "Time at which a person acknowledged the alert."),
    Column("acknowledged_by", Text, comment="Person who acknowledged the alert."),
    moment("resolved_at", "Time at which the alert was resolved."),
    Column("resolved_by", Text, comment="Person who resolved the alert, or stence."),
    Column("note", Text, comment="Remark of the person who last changed the state."),
    one_of("state", ALERT_STATES),
    one_of("severity", SEVERITIES),
    Index(
        "alerts_one_a_cause",
        "rule",
        *map(text, _SLICE),
        unique=True,
        postgresql_where=text("state <> 'resolved'"),
    ),
    comment="Alerts. Each cause has at most one alert that is not resolved.",
)

alert_events = Table(
    "alert_events",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True, comment="Order of the events."),
    Column(
        "alert_id",
        BigInteger,
        ForeignKey("alerts.id"),
        nullable=False,
        index=True,
        comment="Number of the alert.",
    ),
    now("at", "When."),
    Column("event", Text, nullable=False, comment="opened, acknowledged, resolved or reopened."),
    Column("by_whom", Text, nullable=False, comment="Author of the event: a person, or stence."),
    Column("why", Text, comment="Reason."),
    one_of("event", ALERT_EVENTS),
    comment="Append-only history of alerts.",
)

monitor_runs = Table(
    "monitor_runs",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True, comment="Number of the run."),
    now("started_at", "Start."),
    moment("finished_at", "End."),
    Column("state", Text, nullable=False, comment="running, finished, interrupted, abandoned or failed."),
    Column("days", Integer, nullable=False, comment="Number of monitored days."),
    Column("metrics", Integer, comment="Number of metrics."),
    Column("alerts_opened", Integer, comment="Number of raised alerts."),
    Column("error", Text, comment="Error of a failed run."),
    lease(),
    one_of("state", MONITOR_STATES),
    comment="Runs of the monitor.",
)

verification_draws = Table(
    "verification_draws",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True, comment="Order of the draws."),
    now("drawn_at", "Time of the draw."),
    Column(
        "model_version", Text, ForeignKey("models.version"), nullable=False, comment="Model of the scores."
    ),
    Column("share", Double, nullable=False, comment="Probability of a patient to be drawn, 0 to 1."),
    moment("scored_from", "The ECGs were scored at or after this time.", nullable=False),
    moment("scored_until", "The ECGs were scored before this time.", nullable=False),
    Column("eligible", BigInteger, nullable=False, comment="Patients without a flag that could be drawn."),
    Column("drawn", BigInteger, nullable=False, comment="Patients that were drawn."),
    comment="Draws of the verification sample: from which ECGs, and with which probability.",
)

verification_sample = Table(
    "verification_sample",
    metadata,
    Column("content_hash", LargeBinary, ForeignKey("ecgs.content_hash"), primary_key=True, comment="ECG."),
    Column(
        "draw_id",
        BigInteger,
        ForeignKey("verification_draws.id"),
        nullable=False,
        index=True,
        comment="Draw of the patient.",
    ),
    Column("month", Text, nullable=False, comment="Month of the ECG (UTC); a patient is drawn once a month."),
    Column("chance", Double, nullable=False, comment="Probability of the patient's inclusion, 0 to 1."),
    comment="Patients without a flag, drawn at random and proposed for an examination, each by one ECG.",
)
