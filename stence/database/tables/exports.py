"""Flags that were sent to other systems."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Identity, Index, Table, Text, text

from stence.database.tables.columns import metadata, moment, now, one_of

EXPORT_FORMATS = ("fhir", "csv")
EXPORT_STATUSES = ("final", "corrected", "entered-in-error")
WAITING = text("sent_at IS NULL")

flag_exports = Table(
    "flag_exports",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True, comment="Number of the message."),
    Column("flag_id", BigInteger, ForeignKey("flags.id"), nullable=False, comment="Flag."),
    Column("format", Text, nullable=False, comment="fhir or csv."),
    Column("destination", Text, nullable=False, comment="URL of the server, or of the folder in the store."),
    Column("status", Text, nullable=False, comment="final, corrected or entered-in-error."),
    Column("patient_id", Text, nullable=False, comment="Patient of the flag, as the message names them."),
    now("planned_at", "Time from which the message waited to be sent."),
    moment("sent_at", "Time at which the destination confirmed the message; empty: not sent yet."),
    Column("resource", Text, comment="RiskAssessment on the server, or key of the file in the store."),
    Column("etag", Text, comment="Version of the RiskAssessment on the server."),
    Column("refusal", Text, comment="Why the server refused the message at the last try."),
    one_of("format", EXPORT_FORMATS),
    one_of("status", EXPORT_STATUSES),
    Index("flag_exports_latest_idx", "format", "destination", "flag_id", "id"),
    Index(
        "flag_exports_waiting_idx",
        "format",
        "destination",
        "flag_id",
        unique=True,
        postgresql_where=WAITING,
    ),
    Index("flag_exports_flag_id_idx", "flag_id"),
    comment="Messages about flags to other systems; one is planned before it is sent.",
)
