"""A backup brings everything back on a new machine, and nothing that is not whole."""

from __future__ import annotations

import shutil
import stat
import uuid
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import SecretStr
from sqlalchemy import Engine, text

from stence import database, registry, scoring
from stence.backup import back_up, programs, restore
from stence.cli import main
from stence.database import migrate
from stence.database.tables import metadata
from stence.errors import ArchiveError, RestoreError
from stence.objects import ObjectStore, open_store
from stence.settings import Settings
from support.bare_server import bare_server, of
from support.champion import crown
from support.database import server_folder, tampering, url_of
from support.ecgs import heartbeats, store_ecg
from support.environment import set_environment
from support.s3 import S3Server
from support.scoring import give_patients

ECGS = 3


@pytest.fixture
def hospital(engine: Engine, store: ObjectStore, settings: Settings) -> Settings:
    """A hospital whose ECGs were scored by a real model, but for one that is in quarantine."""
    open_hospital(engine, store, settings)
    return settings


def open_hospital(engine: Engine, store: ObjectStore, settings: Settings) -> None:
    for number in range(ECGS):
        store_ecg(store, f"ecg/{number}.hea", heartbeats(number))
    store.put("ecg/broken.hea", b"no header")
    give_patients(store, *((f"p{number}", f"{number}") for number in range(ECGS)))
    store.put("cards/tiny-1/card.md", b"# tiny-1")
    store.put("features/view.npy", b"features")
    crown(engine, store, settings)
    score(engine, store, settings)


def score(engine: Engine, store: ObjectStore, settings: Settings) -> int:
    """Index and score; return the ECGs that were read."""
    scoring.index(engine, store, settings)
    with scoring.open_run(engine, store, settings, registry.load_champion(engine, store, settings)) as run:
        while run.score(limit=64):
            pass
    counts = run.summary()
    return counts.scored_by_run + counts.quarantined_by_run


@pytest.fixture
def elsewhere(postgres: Engine, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a new machine: an empty database, another data folder and another store."""
    name = f"restored_{uuid.uuid4().hex}"
    database.create_database(postgres, name)
    folder = tmp_path_factory.mktemp("elsewhere")
    return Settings(data_dir=folder, database_url=SecretStr(url_of(postgres, name)), device="cpu")


@pytest.fixture
def archive(hospital: Settings, engine: Engine, store: ObjectStore, tmp_path: Path) -> Path:
    return back_up(engine, store, hospital, tmp_path / "backup.zip").path


def copy_ecgs(source: Settings, target: Settings) -> None:
    """Copy the hospital's own files with their times, as ``rsync -a`` does."""
    shutil.copytree(source.data_dir / "store" / "ecg", target.data_dir / "store" / "ecg")


def restored(settings: Settings, archive: Path) -> Any:
    with database.connect_as_it_is(settings) as engine:
        return restore(engine, open_store(settings.resolved_store_url, settings), settings, archive)


def all_rows(settings: Settings) -> dict[str, list[str]]:
    """Every row of every table, as text."""
    found = {}
    with database.connect_as_owner(settings) as engine, engine.connect() as connection:
        for name in metadata.tables:
            rows = connection.scalars(text(f"SELECT CAST(t AS text) FROM {name} AS t ORDER BY 1"))  # noqa: S608
            found[name] = list(rows)
    return found


def objects_of(settings: Settings, *prefixes: str) -> dict[str, bytes]:
    store = open_store(settings.resolved_store_url, settings)
    return {item.key: store.get(item.key) for prefix in prefixes for item in store.list(prefix)}


def test_rows_and_model_files_are_equal_after_a_restore(
    hospital: Settings, archive: Path, elsewhere: Settings
) -> None:
    restored(elsewhere, archive)
    before = all_rows(hospital)
    assert before["scores"]
    assert all_rows(elsewhere) == before
    own = objects_of(hospital, "models/", "cards/")
    assert len(own) == 3
    assert objects_of(elsewhere, "") == own


def test_nothing_is_scored_again_after_a_restore(
    hospital: Settings, archive: Path, elsewhere: Settings
) -> None:
    copy_ecgs(hospital, elsewhere)
    assert restored(elsewhere, archive).copies == ECGS + 1
    store = open_store(elsewhere.resolved_store_url, elsewhere)
    with database.connect(elsewhere) as engine:
        assert score(engine, store, elsewhere) == 0
        store_ecg(store, "ecg/new.hea", heartbeats(99))
        assert score(engine, store, elsewhere) == 1


@pytest.mark.slow
@pytest.mark.s3
def test_nothing_is_scored_again_in_another_bucket(
    engine: Engine, settings: Settings, s3_server: S3Server, elsewhere: Settings, tmp_path: Path
) -> None:
    here, there = (in_a_bucket(each, s3_server) for each in (settings, elsewhere))
    source, target = (open_store(each.resolved_store_url, each) for each in (here, there))
    open_hospital(engine, source, here)
    made = back_up(engine, source, here, tmp_path / "backup.zip")
    for item in source.list("ecg/"):  # as a hospital copies its own part
        target.put(item.key, source.get(item.key))
    restored(there, made.path)
    assert objects_of(there, "models/", "cards/") == objects_of(here, "models/", "cards/")
    with database.connect(there) as restored_engine:
        assert score(restored_engine, target, there) == 0
        store_ecg(target, "ecg/new.hea", heartbeats(99))
        assert score(restored_engine, target, there) == 1


def in_a_bucket(settings: Settings, server: S3Server) -> Settings:
    """The same with a new bucket as the store."""
    place = {**server.settings, "store_url": f"s3://{server.make_bucket()}/hospital"}
    return Settings(**settings.model_dump(exclude_none=True, exclude=set(place)) | place)


def test_a_backup_is_private_and_whole_or_not_there(
    hospital: Settings, engine: Engine, store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = back_up(engine, store, hospital, tmp_path)
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert made.path.name.startswith("stence-20")
    with pytest.raises(ArchiveError, match="exists"):
        back_up(engine, store, hospital, made.path)
    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr(programs, "DUMP", ("pg_dump", "--format=custom", "--table=nowhere"))
    with pytest.raises(ArchiveError, match="pg_dump failed: no matching tables were found"):
        back_up(engine, store, hospital, tmp_path / "failed.zip")
    assert sorted(tmp_path.iterdir()) == before


def test_features_are_in_it_where_asked(
    hospital: Settings, engine: Engine, store: ObjectStore, tmp_path: Path, elsewhere: Settings
) -> None:
    made = back_up(engine, store, hospital, tmp_path / "all.zip", features=True)
    restored(elsewhere, made.path)
    assert objects_of(elsewhere, "features/") == {"features/view.npy": b"features"}


def test_a_damaged_backup_restores_nothing(archive: Path, elsewhere: Settings) -> None:
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(content)
    with pytest.raises(ArchiveError, match="is damaged: "):
        restored(elsewhere, archive)
    assert objects_of(elsewhere, "") == {}
    with database.connect_as_it_is(elsewhere) as engine:
        assert migrate.current_revision(engine) is None


def test_a_database_with_rows_is_not_restored_into(archive: Path, hospital: Settings) -> None:
    before = all_rows(hospital)
    with pytest.raises(RestoreError, match="not empty"):
        restored(hospital, archive)
    assert all_rows(hospital) == before


def test_a_backup_of_a_newer_schema_is_refused(
    archive: Path, elsewhere: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "revisions", lambda: {"0001"})
    with pytest.raises(RestoreError, match="install that version"):
        restored(elsewhere, archive)


def test_a_file_that_changed_is_scored_again(hospital: Settings, archive: Path, elsewhere: Settings) -> None:
    copy_ecgs(hospital, elsewhere)
    store = open_store(elsewhere.resolved_store_url, elsewhere)
    store.put("ecg/0.dat", store.get("ecg/1.dat"))  # of the same size, later than the backup's listing
    assert restored(elsewhere, archive).copies == ECGS
    with database.connect(elsewhere) as engine:
        assert score(engine, store, elsewhere) == 1


@pytest.mark.slow
def test_roles_with_rights_are_made_where_they_are_missing(
    hospital: Settings, engine: Engine, store: ObjectStore, tmp_path: Path
) -> None:
    role = f"Ward reader {uuid.uuid4().hex[:8]}"
    with tampering(engine) as connection:
        connection.exec_driver_sql(f'CREATE ROLE "{role}" NOLOGIN')
        connection.exec_driver_sql(f'GRANT SELECT ON flagged_patients TO "{role}"')
    made = back_up(engine, store, hospital, tmp_path / "roles.zip").path
    with server_folder() as folder:
        settings = Settings(data_dir=folder)
        restored(settings, made)
        allowed = text("SELECT has_table_privilege(:role, 'flagged_patients', 'SELECT')")
        with database.connect(settings) as new, new.connect() as connection:
            assert connection.scalar(allowed, {"role": role})
            owns = text("SELECT has_database_privilege('stence_owner', current_database(), 'CREATE')")
            assert connection.scalar(owns)  # the next migration needs it


@pytest.mark.slow
def test_a_login_without_superuser_rights_restores(hospital: Settings, archive: Path, tmp_path: Path) -> None:
    with bare_server("CREATE ROLE plain LOGIN CREATEROLE", "CREATE DATABASE own OWNER plain") as server:
        settings = of(server, "plain", "own").model_copy(update={"data_dir": tmp_path / "elsewhere"})
        restored(settings, archive)
        assert all_rows(settings) == all_rows(hospital)
        with database.connect(settings) as engine, engine.connect() as connection:
            acting = connection.execute(text("SELECT current_user, session_user")).one()
            assert acting == ("stence_writer", "plain")


@pytest.mark.slow
def test_the_commands_back_up_and_restore_the_embedded_database(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server_folder() as old, server_folder() as new:
        set_environment(monkeypatch, Settings(data_dir=old))
        first = CliRunner().invoke(main, ["restore", str(archive)])
        assert "Restored: the database and 3 objects" in first.output
        second = CliRunner().invoke(main, ["backup", str(tmp_path / "again.zip")])
        assert "holds the database and 3 objects" in second.output
        set_environment(monkeypatch, Settings(data_dir=new))
        CliRunner().invoke(main, ["restore", str(tmp_path / "again.zip")])
        assert all_rows(Settings(data_dir=new)) == all_rows(Settings(data_dir=old))
        again = CliRunner().invoke(main, ["restore", str(archive)])
        assert again.exit_code == 1
        assert "The database is not empty" in again.output
