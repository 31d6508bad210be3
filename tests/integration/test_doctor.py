"""``stence doctor`` names each part that is unwell, says what to do, and keeps secrets to itself."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, insert, text

from stence.cli import main
from stence.cli.doctor import Unwell, listings
from stence.database.tables import store_listings
from stence.objects import ObjectStore
from stence.registry.artefact import WEIGHTS
from stence.settings import Settings
from support.champion import crown
from support.database import tampering
from support.environment import set_environment

PARTS = [
    "packages",
    "data folder",
    "device",
    "object store",
    "database",
    "roles",
    "listings",
    "champion",
    "score runs",
    "similar studies",
]


@pytest.fixture(autouse=True)
def _environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch, settings)


@pytest.fixture
def champion(engine: Engine, store: ObjectStore, settings: Settings) -> str:
    """The folder of a champion's artefact."""
    return crown(engine, store, settings)


def diagnose() -> tuple[dict[str, str], dict[str, str]]:
    """What is well and what is not, by part; every part is in one of them."""
    result = CliRunner().invoke(main, ["doctor"])
    said = re.split(r"^(ok   |FAIL ) ([\w ]+): ", result.output, flags=re.MULTILINE)[1:]
    parts = list(zip(said[::3], said[1::3], said[2::3], strict=True))
    well = {name: text for verdict, name, text in parts if verdict == "ok   "}
    unwell = {name: text for verdict, name, text in parts if verdict == "FAIL "}
    assert sorted([*well, *unwell]) == sorted(PARTS), result.output
    assert result.exit_code == (1 if unwell else 0)
    return well, unwell


def test_all_is_well(champion: str, store: ObjectStore, settings: Settings) -> None:
    well, unwell = diagnose()
    assert unwell == {}
    assert "tiny-1" in well["champion"]
    assert "Postgres 18" in well["database"]
    assert "a retraining with angiograms creates it" in well["similar studies"]
    assert "nothing below ecg/ yet" in well["object store"]
    assert {found.key for found in store.list("")} == {champion + "manifest.json", champion + WEIGHTS}


def test_without_a_champion_it_says_how_to_get_one() -> None:
    _, unwell = diagnose()
    assert unwell.keys() == {"champion"}
    assert "stence models promote" in unwell["champion"]


def test_an_altered_model_is_named(champion: str, store: ObjectStore) -> None:
    store.put(champion + WEIGHTS, store.get(champion + WEIGHTS)[:-1] + b"\0")
    _, unwell = diagnose()
    assert unwell.keys() == {"champion"}
    assert champion + WEIGHTS in unwell["champion"]


def test_score_runs_that_do_not_come_are_told(champion: str, engine: Engine) -> None:
    with tampering(engine) as connection:
        connection.execute(text("UPDATE models SET created_at = now() - interval '5 hours'"))
    _, unwell = diagnose()
    assert unwell.keys() == {"score runs"}
    assert "No scoring run has finished for hours" in unwell["score runs"]
    assert "stence query recent_runs" in unwell["score runs"]


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("postgresql://stence:geheim@127.0.0.1:1/stence", "STENCE_DATABASE_URL"),
        ("postgresql://stence:geheim@127.0.0.1:port/stence", "STENCE_DATABASE_URL"),
        ("mysql://stence:geheim@127.0.0.1/stence", "postgresql://"),
    ],
)
def test_a_database_that_is_not_there(monkeypatch: pytest.MonkeyPatch, url: str, advice: str) -> None:
    monkeypatch.setenv("STENCE_DATABASE_URL", url)
    well, unwell = diagnose()
    assert unwell.keys() == {"database", "roles", "listings", "champion", "score runs", "similar studies"}
    assert "object store" in well
    assert advice in unwell["database"]
    assert "geheim" not in str(unwell)


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("/srv/ecg", "s3://bucket/prefix"),
        ("file:///proc/no/such", "cannot hold objects"),
    ],
)
def test_a_store_that_is_none(monkeypatch: pytest.MonkeyPatch, url: str, advice: str) -> None:
    monkeypatch.setenv("STENCE_STORE_URL", url)
    _, unwell = diagnose()
    assert unwell.keys() == {"object store", "champion"}
    assert advice in unwell["object store"]


@pytest.mark.slow
@pytest.mark.s3
def test_an_s3_store(s3_settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3_settings.items():
        monkeypatch.setenv(f"STENCE_{name.upper()}", value)
    well, _ = diagnose()
    assert s3_settings["store_url"] in well["object store"]

    monkeypatch.setenv("STENCE_S3_SECRET_KEY", "not-the-secret")
    _, unwell = diagnose()
    assert "STENCE_S3_SECRET_KEY" in unwell["object store"]
    assert "not-the-secret" not in str(unwell)


def test_a_device_that_is_not_there(champion: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    monkeypatch.setenv("STENCE_DEVICE", "cuda")
    _, unwell = diagnose()
    assert unwell.keys() == {"device", "champion"}
    assert "driver" in unwell["device"]


def test_a_data_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("STENCE_DATA_DIR", str(tmp_path / "file" / "data"))
    _, unwell = diagnose()
    assert "STENCE_DATA_DIR" in unwell["data folder"]


@pytest.mark.parametrize(("package", "release"), [("fastapi", "0.155.0"), ("sqlalchemy", "2.1.9")])
def test_versions_that_break_prefect_are_named(
    monkeypatch: pytest.MonkeyPatch, package: str, release: str
) -> None:
    from stence.cli import doctor

    installed = doctor.version
    monkeypatch.setattr(doctor, "version", lambda name: release if name == package else installed(name))
    _, unwell = diagnose()
    assert f"{package} {release}" in unwell["packages"]
    assert "constraints.txt" in unwell["packages"]


@pytest.mark.parametrize("hours", [20, 60])
def test_an_overdue_full_listing_is_unwell(engine: Engine, settings: Settings, hours: int) -> None:
    by_day = settings.model_copy(update={"listing": "days"})
    ended = datetime.now(UTC) - timedelta(hours=hours)
    row = {"extent": "full", "prefix": "ecg/", "started_at": ended, "finished_at": ended}
    with tampering(engine) as connection:
        connection.execute(insert(store_listings).values(row | {"ecgs": 0, "new": 0, "changed": 0}))
    if hours == 20:
        assert listings(engine, by_day) == "days; the last full one ended 20.0 h ago"
    else:
        with pytest.raises(Unwell, match="the last full one ended 60 h ago, 24 h are set"):
            listings(engine, by_day)
