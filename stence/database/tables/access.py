"""Who may see what: sites of clinicians, and the rights of each role as they were last granted."""

from __future__ import annotations

from sqlalchemy import Column, Table, Text

from stence.database.tables.columns import metadata, now

site_members = Table(
    "site_members",
    metadata,
    Column("login", Text, primary_key=True, comment="Login of a clinician."),
    Column("site", Text, primary_key=True, comment="Site, as in ecgs."),
    Column("added_by", Text, nullable=False, comment="Person who gave access."),
    Column("why", Text, nullable=False, comment="Reason."),
    now("added_at", "When."),
    comment="Sites whose patients a clinician sees. stence access changes this table.",
)

schema_grants = Table(
    "schema_grants",
    metadata,
    Column("name", Text, primary_key=True, comment="Name of the role."),
    Column("sha256", Text, nullable=False, comment="SHA-256 of the role's file."),
    comment="The roles of sql/grants as their rights were last granted.",
)
