"""Pages of flagged ECGs."""

from __future__ import annotations

from sqlalchemy import Column, Double, ForeignKey, LargeBinary, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY

from stence.database.tables.columns import metadata, now

ecg_pages = Table(
    "ecg_pages",
    metadata,
    Column("content_hash", LargeBinary, ForeignKey("ecgs.content_hash"), primary_key=True, comment="ECG."),
    Column(
        "model_version",
        Text,
        ForeignKey("models.version"),
        primary_key=True,
        comment="Model that flagged it.",
    ),
    Column("object_key", Text, nullable=False, comment="Key of the page in the object store."),
    Column("patient_id", Text, nullable=False, comment="Patient whom the page names."),
    now("written_at", "Time of the writing."),
    Column(
        "marked_drop",
        Double,
        comment="Drop of the log-odds without the parts that the model looked at; empty: none.",
    ),
    Column("random_drops", ARRAY(Double), comment="Drops without random parts of equal size."),
    comment="Pages of flagged ECGs in the store. One that names another patient than its ECG is removed.",
)
