"""Index, enqueue and count what is new, whatever the size of the archive."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

# Each new or changed file has the next number. A transaction that draws numbers holds the lock in shared mode
# to its end. So whoever has held it alone for a moment knows that no lower number can still appear.
NUMBER_CHANGES = """
CREATE SEQUENCE object_changes;
COMMENT ON SEQUENCE object_changes IS 'Order in which files were listed as new or changed.';
ALTER TABLE objects ADD COLUMN change_number bigint;
ALTER TABLE objects ALTER COLUMN change_number TYPE bigint USING id;
ALTER TABLE objects ALTER COLUMN change_number SET DEFAULT nextval('object_changes'),
                    ALTER COLUMN change_number SET NOT NULL;
COMMENT ON COLUMN objects.change_number IS 'Order of the last change among all files.';
SELECT setval('object_changes', (SELECT coalesce(max(id), 0) + 1 FROM objects), false);

CREATE FUNCTION hold_object_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtext('object_changes'));
    RETURN NULL;
END
$$;
CREATE TRIGGER objects_hold_changes BEFORE INSERT OR UPDATE OF etag, kind ON objects
    FOR EACH STATEMENT EXECUTE FUNCTION hold_object_changes();
CREATE FUNCTION number_object_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.change_number := nextval('object_changes');
    RETURN NEW;
END
$$;
CREATE TRIGGER objects_number_change BEFORE UPDATE OF etag, kind ON objects
    FOR EACH ROW WHEN (OLD.etag <> NEW.etag OR OLD.kind <> NEW.kind) EXECUTE FUNCTION number_object_change();
"""
# Files that were indexed but not enqueued yet are found by going through all once, in each model's next run.
MARK_KNOWN_MODELS = """
INSERT INTO worklist_marks (model_version, newest, oldest)
SELECT version, 0, 0 FROM models WHERE EXISTS (SELECT FROM worklist WHERE model_version = version);
UPDATE worklist AS w SET archive = true
FROM objects AS o, models AS m
WHERE w.state IN ('pending', 'leased') AND o.id = w.object_id AND m.version = w.model_version
  AND o.changed_at < m.created_at;
"""
# Counters of their own would make all scorers wait for one row. Changes are added up in the background.
COUNT_CHANGES = """
INSERT INTO worklist_tally (model_version, state, ecgs)
SELECT model_version, state, count(*) FROM worklist GROUP BY model_version, state;

CREATE FUNCTION tally_worklist() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO worklist_tally (model_version, state, run_id, ecgs)
        SELECT model_version, state, run_id, count(*) FROM added GROUP BY model_version, state, run_id;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO worklist_tally (model_version, state, run_id, ecgs)
        SELECT model_version, state, run_id, -count(*) FROM removed GROUP BY model_version, state, run_id;
    ELSE
        INSERT INTO worklist_tally (model_version, state, run_id, ecgs)
        SELECT model_version, state, run_id, sum(ecgs)
        FROM (SELECT model_version, state, run_id, 1 AS ecgs FROM added
              UNION ALL
              SELECT model_version, state, run_id, -1 FROM removed) AS changed
        GROUP BY model_version, state, run_id
        HAVING sum(ecgs) <> 0;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER worklist_tally_added AFTER INSERT ON worklist REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION tally_worklist();
CREATE TRIGGER worklist_tally_removed AFTER DELETE ON worklist REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION tally_worklist();
CREATE TRIGGER worklist_tally_changed AFTER UPDATE
    ON worklist REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION tally_worklist();
"""
# A share of the archive would be millions of dead rows, through which every claim would have to go.
VACUUM_OFTEN = """
ALTER TABLE worklist SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50000,
                          autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE worklist_tally SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
"""


def upgrade() -> None:
    op.execute(NUMBER_CHANGES)
    op.create_index(
        op.f("objects_changes_idx"), "objects", ["change_number"], postgresql_where=sa.text("kind = 'ecg'")
    )
    op.add_column(
        "worklist",
        sa.Column(
            "archive",
            sa.Boolean(),
            nullable=False,
            server_default=sa.text("false"),
            comment="True: the file was there before the model; new files are claimed first.",
        ),
    )
    _create_tables()
    op.execute(MARK_KNOWN_MODELS)
    op.execute(COUNT_CHANGES)
    op.drop_index(op.f("worklist_open_idx"), "worklist")
    op.create_index(
        op.f("worklist_open_idx"),
        "worklist",
        ["model_version", "archive", sa.text("object_id DESC")],
        postgresql_where=sa.text("state IN ('pending', 'leased')"),
    )
    op.create_index(op.f("scores_run_id_idx"), "scores", ["run_id"])
    op.create_index(op.f("quarantine_run_id_idx"), "quarantine", ["run_id"])
    op.execute(VACUUM_OFTEN)


def _create_tables() -> None:
    op.create_table(
        "worklist_marks",
        sa.Column("model_version", sa.Text(), nullable=False, comment="Model of the worklist."),
        sa.Column(
            "newest",
            sa.BigInteger(),
            nullable=False,
            comment="Highest change number up to which files are on the worklist.",
        ),
        sa.Column(
            "oldest",
            sa.BigInteger(),
            nullable=False,
            comment="Lowest change number from which on they are; the rest of the archive follows.",
        ),
        sa.ForeignKeyConstraint(
            ["model_version"], ["models.version"], name=op.f("worklist_marks_model_version_fkey")
        ),
        sa.PrimaryKeyConstraint("model_version", name=op.f("worklist_marks_pkey")),
        comment="Part of the files that is on the worklist of each model.",
    )
    op.create_table(
        "worklist_tally",
        sa.Column(
            "id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Number of the row."
        ),
        sa.Column("model_version", sa.Text(), nullable=False, comment="Model of the worklist."),
        sa.Column("state", sa.Text(), nullable=False, comment="State of the ECGs."),
        sa.Column("run_id", sa.Uuid(), comment="Run that holds or finished them, while it runs."),
        sa.Column(
            "ecgs",
            sa.BigInteger(),
            nullable=False,
            comment="ECGs that came into the state, less those that left it.",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("worklist_tally_pkey")),
        comment="Changes of the worklist by state; their sums are the counts of worklist_counts.",
    )
    op.create_table(
        "store_listings",
        sa.Column(
            "id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Order of the listings."
        ),
        sa.Column("extent", sa.Text(), nullable=False, comment="full, days or announced."),
        sa.Column("prefix", sa.Text(), nullable=False, comment="Prefix of ECGs in the store."),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False, comment="Start."),
        sa.Column(
            "finished_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="End.",
        ),
        sa.Column("ecgs", sa.BigInteger(), nullable=False, comment="ECGs in the listing."),
        sa.Column("new", sa.BigInteger(), nullable=False, comment="Of these: new."),
        sa.Column("changed", sa.BigInteger(), nullable=False, comment="Of these: changed."),
        sa.CheckConstraint(
            "extent IN ('full', 'days', 'announced')", name=op.f("store_listings_extent_check")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("store_listings_pkey")),
        comment="Completed listings of the store's ECGs.",
    )
    op.create_index(
        op.f("store_listings_extent_finished_at_idx"), "store_listings", ["extent", "finished_at"]
    )
    op.create_table(
        "announced_objects",
        sa.Column(
            "id",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="Order of the announcements.",
        ),
        sa.Column("key", sa.Text(), nullable=False, comment="Key of a new or changed file in the store."),
        sa.Column(
            "announced_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When.",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("announced_objects_pkey")),
        comment="Files that other systems announce; the next index reads them and removes the row.",
    )
