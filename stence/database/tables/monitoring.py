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

from stence.database.tables.columns import lease, metadata, moment, now, one_of

REVIEW_OUTCOMES = ("confirmed", "dismissed")
ALERT_STATES = ("open", "acknowledged", "resolved")
ALERT_EVENTS = ("opened", "acknowledged", "resolved", "reopened")
SEVERITIES = ("info", "warning", "critical")
MONITOR_STATES = ("running", "finished", "interrupted", "failed")

_SLICE = ("coalesce(model_version, '')", "coalesce(slice_key, '')", "coalesce(slice_value, '')")
"""Columns that may be empty, so that a unique index takes two empty ones for the same."""

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
    moment("window_start", "Start of the time it is about.", nullable=False),
    moment("window_end", "End of the time it is about.", nullable=False),
    now("measured_at", "When it was computed."),
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
    comment="Figures about runs, inputs, scores and outcomes over time.",
)

ecg_measurements = Table(
    "ecg_measurements",
    metadata,
    Column("content_hash", LargeBinary, ForeignKey("ecgs.content_hash"), primary_key=True, comment="ECG."),
    Column("heart_rate", Double, comment="Beats a minute; empty where no beats were found."),
    Column("r_mv", ARRAY(Double), nullable=False, comment="Height of R in mV, I II III aVR aVL aVF V1-V6."),
    Column("s_mv", ARRAY(Double), nullable=False, comment="Depth of Q or S in mV, by lead as r_mv."),
    Column("noise_uv", ARRAY(Double), nullable=False, comment="Noise above 40 Hz in µV, by lead as r_mv."),
    comment="What was measured in each ECG when it was first scored, to see whether inputs move.",
)

ecg_embeddings = Table(
    "ecg_embeddings",
    metadata,
    Column("content_hash", LargeBinary, ForeignKey("ecgs.content_hash"), primary_key=True, comment="ECG."),
    Column(
        "model_version", Text, ForeignKey("models.version"), primary_key=True, comment="Model of the encoder."
    ),
    Column("sketch", ARRAY(REAL), nullable=False, comment="Fixed random projection of its embedding."),
    comment="What each model's encoder made of each ECG, in short, to see whether ECGs move.",
)

reference_profiles = Table(
    "reference_profiles",
    metadata,
    Column(
        "model_version", Text, ForeignKey("models.version"), primary_key=True, comment="Model it belongs to."
    ),
    now("made_at", "When it was made."),
    moment("window_start", "Start of the time its ECGs are from.", nullable=False),
    moment("window_end", "End of that time.", nullable=False),
    Column("ecgs", Integer, nullable=False, comment="How many ECGs it rests on."),
    Column("profile", JSONB, nullable=False, comment="Distributions of inputs, scores and embeddings."),
    comment="What a model's ECGs and scores looked like when all was well; drift is measured against it.",
)

reviews = Table(
    "reviews",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True, comment="Order of the reviews."),
    Column(
        "ecg_id", BigInteger, ForeignKey("ecgs.id"), nullable=False, index=True, comment="Number of the ECG."
    ),
    Column("outcome", Text, nullable=False, comment="confirmed or dismissed."),
    Column("reviewed_by", Text, nullable=False, comment="Who."),
    now("reviewed_at", "When."),
    Column("note", Text, comment="Remark of the reviewer."),
    one_of("outcome", REVIEW_OUTCOMES),
    comment="Append-only history of what people found out about flagged ECGs. review_ecg() writes it.",
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True, comment="Number of the alert."),
    Column("rule", Text, nullable=False, comment="Name of the rule that raised it."),
    Column("severity", Text, nullable=False, comment="info, warning or critical."),
    Column("metric", Text, nullable=False, comment="The metric that the rule looks at."),
    Column("model_version", Text, ForeignKey("models.version"), comment="The model it is about."),
    Column("slice_key", Text, comment="What the metric is restricted to."),
    Column("slice_value", Text, comment="Which one."),
    Column("state", Text, nullable=False, comment="open, acknowledged or resolved."),
    Column("value", Double, comment="The metric's value when it was last seen."),
    Column("detail", Text, nullable=False, comment="What was found, in words, and what to do; no patient."),
    now("opened_at", "When it was raised."),
    now("last_seen_at", "When its condition was last found to hold."),
    moment("last_window_end", "End of the window in which it last held."),
    moment("acknowledged_at", "When somebody took it up."),
    Column("acknowledged_by", Text, comment="Who."),
    moment("resolved_at", "When it was resolved."),
    Column("resolved_by", Text, comment="Who or what resolved it."),
    Column("note", Text, comment="Remark of who last changed the state."),
    one_of("state", ALERT_STATES),
    one_of("severity", SEVERITIES),
    Index(
        "alerts_one_a_cause",
        "rule",
        *map(text, _SLICE),
        unique=True,
        postgresql_where=text("state <> 'resolved'"),
    ),
    comment="Alerts; of one cause at most one that is not resolved.",
)

alert_events = Table(
    "alert_events",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True, comment="Order of the events."),
    Column(
        "alert_id", BigInteger, ForeignKey("alerts.id"), nullable=False, index=True, comment="Which alert."
    ),
    now("at", "When."),
    Column("event", Text, nullable=False, comment="opened, acknowledged, resolved or reopened."),
    Column("by_whom", Text, nullable=False, comment="Who or what did it."),
    Column("why", Text, comment="Why."),
    one_of("event", ALERT_EVENTS),
    comment="Append-only history of alerts.",
)

monitor_runs = Table(
    "monitor_runs",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True, comment="Number of the run."),
    now("started_at", "Start."),
    moment("finished_at", "End."),
    Column("state", Text, nullable=False, comment="running, finished, interrupted or failed."),
    Column("days", Integer, nullable=False, comment="How many days it looked at."),
    Column("metrics", Integer, comment="How many figures it wrote."),
    Column("alerts_opened", Integer, comment="How many alerts it raised."),
    Column("error", Text, comment="Why it failed."),
    lease(),
    one_of("state", MONITOR_STATES),
    comment="Runs of the monitor.",
)
