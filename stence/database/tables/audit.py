"""Who did what, when and why: entries, and the chain of hashes over them, in a schema of their own."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Identity, LargeBinary, Table, Text, func
from sqlalchemy.dialects.postgresql import JSONB

from stence.database.tables.columns import metadata, moment

audit_entries = Table(
    "entries",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True, comment="Number of the entry."),
    moment("at", "When.", nullable=False, server_default=func.clock_timestamp()),
    Column("login", Text, nullable=False, comment="Login that Postgres checked."),
    Column("role", Text, nullable=False, comment="Role in which the session acted."),
    Column("person", Text, nullable=False, comment="Person whom the caller named, or stence."),
    Column("action", Text, nullable=False, comment="What was done."),
    Column("subject", Text, nullable=False, comment="To what: a table and number, or a version."),
    Column("reason", Text, comment="Why, as the caller said."),
    Column(
        "detail",
        JSONB,
        nullable=False,
        server_default="{}",
        comment="Numbers, states and counts; no patient in it.",
    ),
    schema="audit",
    comment="Append-only: what was done, by which login and person, when and why.",
)

audit_links = Table(
    "links",
    metadata,
    Column(
        "position",
        BigInteger,
        primary_key=True,
        autoincrement=False,
        comment="Place in the order of commits, 1 for the first.",
    ),
    Column(
        "entry_id",
        BigInteger,
        ForeignKey("audit.entries.id"),
        nullable=False,
        unique=True,
        comment="Entry.",
    ),
    Column(
        "hash",
        LargeBinary,
        nullable=False,
        comment="SHA-256 over the hash before and the text of the entry.",
    ),
    schema="audit",
    comment="Append-only: the chain of the entries, which a changed or missing entry breaks.",
)
