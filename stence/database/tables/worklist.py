"""What each model is to score, and the listings of the store from which it comes."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Identity, Index, Integer, Table, Text, text
from sqlalchemy.dialects.postgresql import UUID

from stence.database.tables.columns import metadata, moment, now, one_of

WORK_STATES = ("pending", "leased", "scored", "quarantined")
EXTENTS = ("full", "days", "announced")

worklist = Table(
    "worklist",
    metadata,
    Column("object_id", BigInteger, ForeignKey("objects.id"), primary_key=True, comment="File."),
    Column(
        "model_version",
        Text,
        ForeignKey("models.version"),
        primary_key=True,
        comment="Model that scores the file.",
    ),
    Column("etag", Text, nullable=False, comment="Version of the content that this row describes."),
    Column("state", Text, nullable=False, comment="pending, leased, scored or quarantined."),
    Column(
        "attempt",
        Integer,
        nullable=False,
        server_default="0",
        comment="Fencing token: refuses writes of runs that lost the lease.",
    ),
    Column("run_id", UUID(as_uuid=True), comment="Run that holds the lease or finished the row."),
    moment("lease_expires_at", "End of the lease: after this time another run may claim the row."),
    now("changed_at", "Time of the last change of state."),
    Column(
        "archive",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="True: the file was there before the model; new files are claimed first.",
    ),
    one_of("state", WORK_STATES),
    Index(
        "worklist_open_idx",
        "model_version",
        "archive",
        text("object_id DESC"),
        postgresql_where=text("state IN ('pending', 'leased')"),
    ),
    Index("worklist_run_idx", "run_id", postgresql_where=text("state = 'leased'")),
    comment="State of every ECG for every model that scores it.",
)

worklist_marks = Table(
    "worklist_marks",
    metadata,
    Column(
        "model_version",
        Text,
        ForeignKey("models.version"),
        primary_key=True,
        comment="Model of the worklist.",
    ),
    Column(
        "newest",
        BigInteger,
        nullable=False,
        comment="Highest change number up to which files are on the worklist.",
    ),
    Column(
        "oldest",
        BigInteger,
        nullable=False,
        comment="Lowest change number from which on they are; the rest of the archive follows.",
    ),
    comment="Part of the files that is on the worklist of each model.",
)

worklist_tally = Table(
    "worklist_tally",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True, comment="Number of the row."),
    Column("model_version", Text, nullable=False, comment="Model of the worklist."),
    Column("state", Text, nullable=False, comment="State of the ECGs."),
    Column("run_id", UUID(as_uuid=True), comment="Run that holds or finished them, while it runs."),
    Column(
        "ecgs",
        BigInteger,
        nullable=False,
        comment="ECGs that came into the state, less those that left it.",
    ),
    comment="Changes of the worklist by state; their sums are the counts of worklist_counts.",
)

store_listings = Table(
    "store_listings",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True, comment="Order of the listings."),
    Column("extent", Text, nullable=False, comment="full, days or announced."),
    Column("prefix", Text, nullable=False, comment="Prefix of ECGs in the store."),
    moment("started_at", "Start.", nullable=False),
    now("finished_at", "End."),
    Column("ecgs", BigInteger, nullable=False, comment="ECGs in the listing."),
    Column("new", BigInteger, nullable=False, comment="Of these: new."),
    Column("changed", BigInteger, nullable=False, comment="Of these: changed."),
    one_of("extent", EXTENTS),
    Index("store_listings_extent_finished_at_idx", "extent", "finished_at"),
    comment="Completed listings of the store's ECGs.",
)

announced_objects = Table(
    "announced_objects",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True, comment="Order of the announcements."),
    Column("key", Text, nullable=False, comment="Key of a new or changed file in the store."),
    now("announced_at", "When."),
    comment="Files that other systems announce; the next index reads them and removes the row.",
)
