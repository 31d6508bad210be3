"""Migrations build exactly the tables, and views follow their files."""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateSchema

from stence import database
from stence.cohort import Split
from stence.database import migrate, queries
from stence.database.tables import metadata
from stence.database.tables.identity import SPLITS
from stence.errors import ConfigurationError
from stence.models import TARGET_NAMES
from stence.resources import sql_folder
from stence.settings import Settings
from support import schemas
from support.database import tampering, url_of
from support.pseudonyms import pseudonym
from support.roles import logged_in

HEAD = max(path.stem for path in (sql_folder() / "migrations" / "versions").glob("*.py")).partition("_")[0]
SCHEMAS = sorted({table.schema for table in metadata.tables.values() if table.schema})
OURS = ", ".join(f"'{schema}'::regnamespace" for schema in ("public", *SCHEMAS))
COLUMNS = f"""
SELECT c.oid::regclass::text, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
       pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum), obj_description(c.oid)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relkind = 'r' AND c.relnamespace IN ({OURS}) AND c.relname <> 'alembic_version'
"""  # noqa: S608
CONSTRAINTS = f"""
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
FROM pg_constraint
WHERE connamespace IN ({OURS}) AND conrelid::regclass::text <> 'alembic_version' AND contype <> 't'
"""  # noqa: S608
INDEXES = f"""
SELECT indexdef FROM pg_indexes
WHERE schemaname::regnamespace IN ({OURS}) AND tablename <> 'alembic_version'
"""  # noqa: S608
UNCOMMENTED = f"""
SELECT c.relname, a.attname
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum >= 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'v') AND c.relnamespace IN ({OURS}) AND c.relname <> 'alembic_version'
  AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid, 'pg_class') IS NULL)
"""  # noqa: S608
VIEWS = "SELECT relname, oid FROM pg_class WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace"


def rows(engine: Engine, query: str) -> set[tuple[Any, ...]]:
    with engine.connect() as connection:
        return {tuple(row) for row in connection.exec_driver_sql(query)}


@pytest.fixture
def fresh(postgres: Engine) -> Iterator[Engine]:
    """A database made from the tables, without migrations."""
    name = f"fresh_{uuid.uuid4().hex}"
    database.create_database(postgres, name)
    engine = create_engine(postgres.url.set(database=name))
    with engine.begin() as connection:
        for schema in SCHEMAS:
            connection.execute(CreateSchema(schema))
    metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.mark.parametrize(
    "catalog", [COLUMNS, CONSTRAINTS, INDEXES], ids=["columns", "constraints", "indexes"]
)
def test_migrations_build_the_tables(engine: Engine, fresh: Engine, catalog: str) -> None:
    assert rows(engine, catalog) == rows(fresh, catalog)
    assert rows(engine, catalog)


def test_scores_have_a_column_for_every_target() -> None:
    assert set(TARGET_NAMES) <= set(metadata.tables["scores"].c.keys())


def test_pairs_may_have_every_split() -> None:
    assert tuple(Split) == SPLITS


def test_every_table_view_and_column_is_commented(engine: Engine) -> None:
    assert rows(engine, UNCOMMENTED) == set()


def test_times_carry_their_zone(engine: Engine) -> None:
    query = (
        "SELECT table_name FROM information_schema.columns WHERE data_type = 'timestamp without time zone'"
    )
    assert rows(engine, f"{query} AND table_schema::regnamespace IN ({OURS})") == set()


@pytest.mark.parametrize("history", ["model_events", "reviews", "alert_events", "flag_decisions", "snoozes"])
@pytest.mark.parametrize("change", ["UPDATE {} SET id = DEFAULT", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_a_history_cannot_be_changed(engine: Engine, history: str, change: str) -> None:
    with pytest.raises(DBAPIError, match="append-only"), tampering(engine) as connection:
        connection.execute(text(change.format(history)))


OF_0002 = """
INSERT INTO models (version, state, folder, sha256, preprocessing_version, manifest)
VALUES ('m', 'champion', 'models/m/', '', 'p', '{}'), ('r', 'retired', 'models/r/', '', 'p', '{}');
INSERT INTO runs (id, model_version, preprocessing_version, state, code_version, device, host)
VALUES ('00000000-0000-0000-0000-000000000001', 'm', 'p', 'running', '0', 'cpu', 'here');
INSERT INTO objects (key, record_key, etag, size_bytes)
SELECT i || '.hea', i, '', 1 FROM generate_series(1, 500) AS i;
INSERT INTO ecgs (content_hash, patient_id, sampling_rate, seconds, object_id)
SELECT sha256(CAST(id || '' AS bytea)), 'p' || id, 500, 10, id FROM objects;
INSERT INTO flags (content_hash, model_version, target, patient_id, probability, threshold, rule, state,
                   reviewed_by, reviewed_at)
SELECT content_hash, 'm', target, patient_id, 0.9, 0.5, '', state, who, '2026-03-01 08:00+00'
FROM ecgs JOIN (VALUES (1, 'rca_70', 'confirmed', 'Dr A'), (1, 'lca_70', 'confirmed', 'Dr A'),
                       (2, 'rca_70', 'dismissed', 'Dr B'), (3, 'rca_70', 'withdrawn', 'stence'),
                       (4, 'stenosis_70', 'open', NULL), (7, 'rca_70', 'open', NULL))
    AS judged (ecg, target, state, who)
ON object_id = ecg;
INSERT INTO flags (content_hash, model_version, target, patient_id, probability, threshold, rule, state)
SELECT content_hash, 'r', 'stenosis_70', patient_id, 0.9, 0.5, '', state
FROM ecgs JOIN (VALUES (5, 'open'), (6, 'confirmed')) AS raised (ecg, state) ON object_id = ecg
"""
JUDGED = """
SELECT patient_id, outcome, reviewed_by, CAST(reviewed_at AT TIME ZONE 'UTC' AS text)
FROM reviews JOIN ecgs ON ecgs.id = ecg_id
"""


def test_a_database_with_ecgs_and_judgements_is_brought_up(postgres: Engine, sql: Path) -> None:
    name = f"old_{uuid.uuid4().hex}"
    database.create_database(postgres, name)
    old = create_engine(postgres.url.set(database=name))
    versions = sql / "migrations" / "versions"
    newer = [path for path in versions.glob("*.py") if path.name >= "0003"]
    for path in newer:
        shutil.move(path, sql / path.name)
    for kind in ("views", "functions", "grants"):
        shutil.move(sql / kind, sql / f"newer {kind}")
    migrate.upgrade(old, Settings())
    with old.begin() as connection:
        connection.execute(text(OF_0002))
    for path in newer:
        shutil.move(sql / path.name, path)
    for kind in ("views", "functions", "grants"):
        shutil.move(sql / f"newer {kind}", sql / kind)

    migrate.upgrade(old, Settings())
    assert rows(old, "SELECT count(*), count(DISTINCT id), count(site) FROM ecgs") == {(500, 500, 0)}
    assert rows(old, JUDGED) == {
        (pseudonym("p1"), "confirmed", "Dr A", "2026-03-01 08:00:00"),
        (pseudonym("p2"), "dismissed", "Dr B", "2026-03-01 08:00:00"),
    }
    assert rows(old, "SELECT model_version, patient_id, state, withdrawn_for FROM flags") >= {
        ("m", pseudonym("p4"), "open", None),
        ("r", pseudonym("p5"), "withdrawn", "model_retired"),
        ("r", pseudonym("p6"), "confirmed", None),
        ("m", pseudonym("p7"), "withdrawn", "not_decisive"),
        ("m", pseudonym("p1"), "confirmed", None),
    }
    assert rows(old, "SELECT state FROM runs") == {("abandoned",)}
    old.dispose()


@pytest.fixture
def sql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the folder ``sql`` that a later version of stence might have."""
    folder = shutil.copytree(sql_folder(), tmp_path / "sql")
    monkeypatch.setattr(migrate, "sql_folder", lambda: folder)
    return folder


def views(engine: Engine) -> dict[str, int]:
    """Names and object numbers of the views: a new number is a new view."""
    return dict(rows(engine, VIEWS))


def test_nothing_is_done_when_nothing_changed(owner_engine: Engine) -> None:
    before = views(owner_engine)
    assert before.keys() == {path.stem for path in (sql_folder() / "views").glob("*.sql")}
    migrate.upgrade(owner_engine, Settings())
    assert views(owner_engine) == before


def test_views_follow_their_files(owner_engine: Engine, sql: Path) -> None:
    before = views(owner_engine)
    (sql / "views" / "new_categories.sql").rename(sql / "gone.sql")
    reader = sql / "grants" / "stence_reader.sql"
    reader.write_text(reader.read_text().replace(" new_categories,", ""))
    added = sql / "views" / "flags_by_state.sql"
    added.write_text(
        "CREATE VIEW flags_by_state AS SELECT state, count(*) FROM flags GROUP BY state;"
        "COMMENT ON VIEW flags_by_state IS '100 %';"
    )
    migrate.upgrade(owner_engine, Settings())
    assert views(owner_engine).keys() == before.keys() - {"new_categories"} | {"flags_by_state"}
    added.write_text("CREATE VIEW flags_by_state AS SELECT DISTINCT state FROM flags;")  # it alone changed
    migrate.upgrade(owner_engine, Settings())
    definition = rows(owner_engine, "SELECT pg_get_viewdef('flags_by_state'::regclass)")
    assert "DISTINCT" in str(definition)


def test_functions_follow_their_files_and_keep_their_grants(owner_engine: Engine, sql: Path) -> None:
    role = f"nurse_{uuid.uuid4().hex}"
    with owner_engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {role}; GRANT EXECUTE ON FUNCTION review_ecg TO {role}")
    function = sql / "functions" / "check_visible.sql"
    function.write_text(function.read_text().replace("there is no ECG", "nobody knows ECG"))
    migrate.upgrade(owner_engine, Settings())
    with owner_engine.connect() as connection:
        connection.exec_driver_sql(f"SET ROLE {role}")
        with pytest.raises(DBAPIError, match="nobody knows ECG 1"):
            connection.exec_driver_sql("SELECT review_ecg(1, 'confirmed', 'somebody')")


def test_a_new_migration_may_change_what_views_show(owner_engine: Engine, sql: Path) -> None:
    (sql / "migrations" / "versions" / "9999_rename.py").write_text(
        f"from alembic import op\nrevision = '9999'\ndown_revision = '{HEAD}'\n"
        "def upgrade():\n    op.execute('ALTER TABLE flags ALTER COLUMN rule TYPE varchar')\n"
    )
    migrate.upgrade(owner_engine, Settings())
    assert migrate.current_revision(owner_engine) == "9999"
    assert "flagged_patients" in views(owner_engine)


def test_a_migration_that_fails_leaves_everything_as_it_was(owner_engine: Engine, sql: Path) -> None:
    before = views(owner_engine)
    (sql / "migrations" / "versions" / "9999_wrong.py").write_text(
        f"from alembic import op\nrevision = '9999'\ndown_revision = '{HEAD}'\n"
        "def upgrade():\n    op.execute('DROP TABLE monitoring_metrics')\n    op.execute('SELECT 1 / 0')\n"
    )
    with pytest.raises(ConfigurationError, match="division by zero"):
        migrate.upgrade(owner_engine, Settings())
    assert views(owner_engine) == before
    assert migrate.current_revision(owner_engine) == HEAD


def test_a_database_of_a_newer_version_is_refused_in_words(engine: Engine, settings: Settings) -> None:
    with tampering(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match="9999"), database.connect(settings):
        pass


def test_a_view_of_somebody_else_is_not_dropped(owner_engine: Engine, sql: Path) -> None:
    with tampering(owner_engine) as connection:
        connection.execute(text("CREATE VIEW theirs AS SELECT * FROM ecg_risk"))
    (sql / "views" / "ecg_risk.sql").unlink()
    with pytest.raises(ConfigurationError, match="theirs"):
        migrate.upgrade(owner_engine, Settings())
    assert "theirs" in views(owner_engine)


def test_rights_follow_their_files(engine: Engine, owner_engine: Engine, sql: Path) -> None:
    (sql / "grants" / "stence_reader.sql").open("a").write("GRANT SELECT ON site_members TO stence_reader;")
    migrate.upgrade(owner_engine, Settings())
    granted = "SELECT has_table_privilege('stence_reader', 'site_members', 'SELECT')"
    assert rows(engine, granted) == {(True,)}
    shutil.copy(sql_folder() / "grants" / "stence_reader.sql", sql / "grants")
    migrate.upgrade(owner_engine, Settings())
    assert rows(engine, granted) == {(False,)}


def test_the_reader_of_the_readme_sees_figures_and_no_keys(settings: Settings, owner_engine: Engine) -> None:
    [block] = re.findall(r"```sql\n(.*?)```", (sql_folder() / "README.md").read_text(), re.DOTALL)
    login = f"reader_{uuid.uuid4().hex}"
    with owner_engine.begin() as connection:
        connection.exec_driver_sql(block.replace("grafana", login))
    with logged_in(settings, login) as connection:
        connection.exec_driver_sql("SELECT * FROM monitoring_daily").all()
        with pytest.raises(DBAPIError, match="permission denied for table objects"):
            connection.exec_driver_sql("SELECT key FROM objects")


def test_databases_of_one_server_do_not_wait_for_each_other(postgres: Engine) -> None:
    name = f"busy_{uuid.uuid4().hex}"
    database.create_database(postgres, name)
    with postgres.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": migrate.LOCK})
        with database.connect(Settings(database_url=SecretStr(url_of(postgres, name)))) as engine:
            assert migrate.current_revision(engine) == HEAD


# --- released schemas

KEPT = ("objects", "ecgs", "scores", "model_events", "quarantine", "models")
"""Tables whose rows no migration adds or removes."""


def counts(engine: Engine) -> dict[str, Any]:
    return {name: rows(engine, f"SELECT count(*) FROM {name}").pop()[0] for name in KEPT}  # noqa: S608


def test_there_is_a_dump_of_every_released_schema() -> None:
    """Later ones may still change; each up to that of the last release may be that of some hospital."""
    released = {each for each in migrate.revisions() if each <= schemas.LAST_RELEASED}
    missing = released - schemas.dumps().keys()
    assert not missing, f"make a dump of {', '.join(sorted(missing))}: python -m support.schemas, at each"


@pytest.mark.slow
@pytest.mark.parametrize("revision", sorted(schemas.dumps()))
def test_a_database_of_a_released_schema_is_brought_up(
    revision: str, postgres: Engine, engine: Engine
) -> None:
    name = f"released_{uuid.uuid4().hex}"
    database.create_database(postgres, name)
    old = create_engine(postgres.url.set(database=name))
    schemas.restore(old, schemas.dumps()[revision])
    assert migrate.current_revision(old) == revision
    before = counts(old)
    assert all(before.values())
    migrate.upgrade(old, Settings())
    assert counts(old) == before
    for catalog in (COLUMNS, CONSTRAINTS, INDEXES):
        assert rows(old, catalog) == rows(engine, catalog)
    with old.connect() as connection:
        assert queries.run(connection, "flagged_patients", {"limit": "5"})[1]
    old.dispose()
