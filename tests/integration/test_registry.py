"""Model versions: one champion, a history that cannot lie, and files that are verified before use."""

from __future__ import annotations

import io
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from stence import registry
from stence.cli import main
from stence.database import queries
from stence.database.tables import model_events, models
from stence.errors import ArtefactError, RegistryError
from stence.objects import ObjectStore, open_store
from stence.settings import Settings
from support.artefacts import make_artefact
from support.environment import set_environment


@pytest.fixture
def store(settings: Settings) -> ObjectStore:
    return open_store(settings.resolved_store_url, settings)


def register(engine: Engine, *versions: str) -> None:
    """Candidates without files."""
    artefact = make_artefact()
    for version in versions:
        renamed = registry.Artefact(
            artefact.manifest.model_copy(update={"model_version": version}), artefact.weights
        )
        with engine.begin() as connection:
            registry.register(connection, f"models/{version}/", renamed, by="trainer", why="trained")


def promote(engine: Engine, version: str) -> None:
    with engine.begin() as connection:
        registry.promote(connection, version, by="ada", why="better")


def rollback(engine: Engine) -> str:
    with engine.begin() as connection:
        return registry.rollback(connection, by="bob", why="worse than thought")


def states(engine: Engine) -> dict[str, str]:
    with engine.connect() as connection:
        return dict(tuple(row) for row in connection.execute(select(models.c.version, models.c.state)))


def test_a_promoted_model_is_champion_and_the_one_before_retires(engine: Engine) -> None:
    register(engine, "a", "b")
    promote(engine, "a")
    promote(engine, "b")
    assert states(engine) == {"a": "retired", "b": "champion"}


def test_every_change_is_in_the_history_with_who_and_why(engine: Engine) -> None:
    register(engine, "a", "b")
    promote(engine, "a")
    promote(engine, "b")
    e = model_events.c
    with engine.connect() as connection:
        history = connection.execute(
            select(e.version, e.from_state, e.to_state, e.changed_by, e.reason).order_by(e.id)
        ).all()
    assert [tuple(row) for row in history] == [
        ("a", None, "candidate", "trainer", "trained"),
        ("b", None, "candidate", "trainer", "trained"),
        ("a", "candidate", "champion", "ada", "better"),
        ("a", "champion", "retired", "ada", "better"),
        ("b", "candidate", "champion", "ada", "better"),
    ]


def test_a_change_that_is_not_committed_leaves_no_trace(engine: Engine) -> None:
    register(engine, "a")
    with engine.connect() as connection:
        registry.promote(connection, "a", by="ada", why="better")
        connection.rollback()
        assert connection.scalar(text("SELECT count(*) FROM model_events")) == 1
    assert states(engine) == {"a": "candidate"}


def test_the_database_refuses_a_second_champion(engine: Engine) -> None:
    register(engine, "a", "b")
    promote(engine, "a")
    with pytest.raises(IntegrityError, match="models_one_champion"), engine.begin() as connection:
        connection.execute(models.update().values(state="champion").where(models.c.version == "b"))


def test_two_who_promote_at_the_same_time_take_turns(engine: Engine) -> None:
    register(engine, "a", "b", "c")
    promote(engine, "a")
    second = threading.Thread(target=promote, args=(engine, "c"))
    with engine.begin() as connection:
        registry.promote(connection, "b", by="ada", why="better")
        second.start()
        second.join(0.5)
        assert second.is_alive()
    second.join(10)
    assert states(engine) == {"a": "retired", "b": "retired", "c": "champion"}
    assert rollback(engine) == "b"


# --- shadow, rejection --------------------------------------------------------------------------------------


def enshadow(engine: Engine, version: str) -> None:
    with engine.begin() as connection:
        registry.shadow(connection, version, by="gate", why="passed the gate")


def reject(engine: Engine, version: str) -> None:
    with engine.begin() as connection:
        registry.reject(connection, version, by="gate", why="failed the gate")


def last_event(engine: Engine) -> tuple[Any, ...]:
    e = model_events.c
    with engine.connect() as connection:
        statement = select(e.version, e.from_state, e.to_state, e.changed_by, e.reason)
        return tuple(connection.execute(statement.order_by(e.id.desc()).limit(1)).one())


def test_a_candidate_goes_into_shadow_and_from_there_becomes_champion(engine: Engine) -> None:
    register(engine, "a", "b")
    promote(engine, "a")
    enshadow(engine, "b")
    assert last_event(engine) == ("b", "candidate", "shadow", "gate", "passed the gate")
    with engine.connect() as connection:
        assert [shadow.version for shadow in registry.shadows(connection)] == ["b"]
    promote(engine, "b")
    assert states(engine) == {"a": "retired", "b": "champion"}
    assert rollback(engine) == "a"


@pytest.mark.parametrize("in_shadow", [False, True])
def test_a_rejected_model_never_comes_back(engine: Engine, in_shadow: bool) -> None:
    register(engine, "a")
    if in_shadow:
        enshadow(engine, "a")
    reject(engine, "a")
    before = "shadow" if in_shadow else "candidate"
    assert last_event(engine) == ("a", before, "rejected", "gate", "failed the gate")
    for change in (promote, enshadow, reject):
        with pytest.raises(RegistryError, match=r"a is rejected: it cannot .*model_decisions says why"):
            change(engine, "a")


@pytest.mark.parametrize("change", [enshadow, reject])
def test_neither_champion_nor_retired_nor_unknown_goes_into_shadow_or_is_rejected(
    engine: Engine, change: Any
) -> None:
    register(engine, "a", "b")
    promote(engine, "a")
    promote(engine, "b")
    for version, message in (("a", "a is retired"), ("b", "b is champion"), ("c", "no model version c")):
        with pytest.raises(RegistryError, match=message):
            change(engine, version)


def due(engine: Engine, days: float) -> list[str]:
    with engine.connect() as connection:
        return registry.due_shadows(connection, days)


def test_a_shadow_is_due_after_its_days_and_the_newest_goes_first(engine: Engine) -> None:
    register(engine, "a", "b", "c")
    promote(engine, "a")
    enshadow(engine, "c")
    enshadow(engine, "b")
    assert due(engine, 14) == []
    assert due(engine, 0) == ["b", "c"]
    with engine.begin() as connection:
        assert registry.promote_due(connection, 14) is None
        assert registry.promote_due(connection, 0) == "b"
    assert states(engine) == {"a": "retired", "b": "champion", "c": "shadow"}
    assert last_event(engine) == ("b", "shadow", "champion", "stence", "0 days in shadow are over")


def test_a_shadow_judged_against_an_earlier_champion_is_not_promoted_by_itself(engine: Engine) -> None:
    register(engine, "a", "b", "c")
    promote(engine, "a")
    enshadow(engine, "b")
    promote(engine, "c")
    assert due(engine, 0) == []
    promote(engine, "b")


def test_the_history_cannot_be_rewritten(engine: Engine) -> None:
    register(engine, "a")
    for change in ("UPDATE model_events SET reason = 'x'", "DELETE FROM model_events"):
        with pytest.raises(DBAPIError, match="append"), engine.begin() as connection:
            connection.execute(text(change))


# --- rollback -----------------------------------------------------------------------------------------------


def test_rollback_goes_back_the_way_the_promotions_came(engine: Engine) -> None:
    register(engine, "a", "b", "c", "d")
    for version in "abc":
        promote(engine, version)
    assert rollback(engine) == "b"
    assert rollback(engine) == "a"
    promote(engine, "d")
    assert rollback(engine) == "a"
    assert states(engine) == {"a": "champion", "b": "retired", "c": "retired", "d": "retired"}
    with pytest.raises(RegistryError, match="a is the first champion"):
        rollback(engine)


def test_rollback_without_a_champion_is_told(engine: Engine) -> None:
    register(engine, "a")
    with pytest.raises(RegistryError, match="nothing to roll back"):
        rollback(engine)


@pytest.mark.parametrize(
    ("version", "message"),
    [("unknown", "no model version unknown"), ("a", "a is retired.*rollback"), ("b", "b is champion")],
)
def test_what_cannot_be_promoted_is_told(engine: Engine, version: str, message: str) -> None:
    register(engine, "a", "b")
    promote(engine, "a")
    promote(engine, "b")
    with pytest.raises(RegistryError, match=message):
        promote(engine, version)


def test_a_version_is_registered_once(engine: Engine) -> None:
    register(engine, "a")
    with pytest.raises(RegistryError, match="a is registered already"):
        register(engine, "a")


def test_without_a_champion_it_is_said_what_to_do(
    engine: Engine, store: ObjectStore, settings: Settings
) -> None:
    with pytest.raises(RegistryError, match=r"stence train.*stence models promote"):
        registry.load_champion(engine, store, settings)


@pytest.fixture
def champion_folder(engine: Engine, store: ObjectStore, settings: Settings) -> str:
    """A published, registered and promoted model; its folder in the store."""
    artefact = make_artefact()
    folder = registry.publish(store, settings.model_prefix, artefact)
    with engine.begin() as connection:
        registry.register(connection, folder, artefact, by="trainer", why="trained")
        registry.promote(connection, "tiny-1", by="ada", why="the first")
    return folder


def test_the_champion_is_loaded_and_scores(
    engine: Engine, store: ObjectStore, settings: Settings, champion_folder: str
) -> None:
    scorer = registry.load_champion(engine, store, settings)
    assert scorer.model_version == "tiny-1"
    probabilities = scorer.score(np.zeros((3, 2, 12, 1500), np.float32))
    assert probabilities.shape == (3, 6)
    assert ((probabilities > 0) & (probabilities < 1)).all()


class Trap:
    """Writes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def pickled(trap: Trap) -> bytes:
    return pickle.dumps(trap)


def saved_by_torch(trap: Trap) -> bytes:
    buffer = io.BytesIO()
    torch.save({"weights": trap}, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("dump", [pickled, saved_by_torch])
@pytest.mark.parametrize("name", ["model.safetensors", "manifest.json"])
def test_a_pickle_in_place_of_a_file_is_refused_unopened(
    engine: Engine,
    store: ObjectStore,
    settings: Settings,
    champion_folder: str,
    tmp_path: Path,
    name: str,
    dump: Any,
) -> None:
    trap = Trap(tmp_path / "opened")
    store.put(champion_folder + name, dump(trap))
    with pytest.raises(ArtefactError, match=rf"models/tiny-1/{name} is a .*(pickle|torch).*not opened"):
        registry.load_champion(engine, store, settings)
    assert not trap.path.exists()


@pytest.mark.parametrize("name", ["model.safetensors", "manifest.json"])
def test_an_altered_file_is_refused_by_name(
    engine: Engine, store: ObjectStore, settings: Settings, champion_folder: str, name: str
) -> None:
    content = bytearray(store.get(champion_folder + name))
    content[-2] ^= 1
    store.put(champion_folder + name, bytes(content))
    with pytest.raises(ArtefactError, match=f"models/tiny-1/{name} was altered"):
        registry.load_champion(engine, store, settings)


def test_both_files_of_another_model_are_refused(
    engine: Engine, store: ObjectStore, settings: Settings, champion_folder: str
) -> None:
    registry.publish(store, settings.model_prefix, make_artefact(seed=2))
    with pytest.raises(ArtefactError, match=r"models/tiny-1/manifest\.json was altered"):
        registry.load_champion(engine, store, settings)


@pytest.mark.parametrize("name", ["model.safetensors", "manifest.json"])
def test_a_missing_file_is_named(
    engine: Engine, store: ObjectStore, settings: Settings, champion_folder: str, name: str
) -> None:
    store.delete(champion_folder + name)
    with pytest.raises(ArtefactError, match=f"models/tiny-1/{name} is missing"):
        registry.load_champion(engine, store, settings)


def test_a_file_that_does_not_belong_there_is_named_and_not_opened(
    engine: Engine, store: ObjectStore, settings: Settings, champion_folder: str, tmp_path: Path
) -> None:
    trap = Trap(tmp_path / "opened")
    store.put(champion_folder + "model.pth", pickled(trap))
    with pytest.raises(ArtefactError, match=r"models/tiny-1/model.pth: .*not\s+opened"):
        registry.load_champion(engine, store, settings)
    assert not trap.path.exists()


def test_the_view_shows_what_the_manifest_says(engine: Engine, champion_folder: str) -> None:
    with engine.connect() as connection:
        columns, rows = queries.run(connection, "model_history", {})
    [row] = [dict(zip(columns, row, strict=True)) for row in rows]
    assert row["auroc_stenosis_70"] == 0.75
    assert row["champion_since"] == row["changed_at"]
    assert (row["changed_by"], row["reason"]) == ("ada", "the first")


# --- model cards --------------------------------------------------------------------------------------------

CARD = {"card.md": b"# Model card: tiny-1", "card.html": b"<!doctype html>", "roc.png": b"PNG"}


@pytest.fixture
def card(engine: Engine, store: ObjectStore, settings: Settings) -> dict[str, str]:
    """Keys and hashes of the card of a registered model."""
    artefact = make_artefact()
    keys = registry.publish_card(store, settings.card_prefix, "tiny-1", CARD)
    with_card = registry.Artefact(artefact.manifest.model_copy(update={"card": keys}), artefact.weights)
    with engine.begin() as connection:
        registry.register(connection, "models/tiny-1/", with_card, by="trainer", why="trained")
    return keys


def test_a_card_comes_back_as_it_was_published(
    engine: Engine, store: ObjectStore, card: dict[str, str]
) -> None:
    assert set(card) == {f"cards/tiny-1/{name}" for name in CARD}
    with engine.connect() as connection:
        assert registry.read_card(connection, store, "tiny-1") == CARD


def test_an_altered_card_is_refused_by_name(engine: Engine, store: ObjectStore, card: dict[str, str]) -> None:
    store.put("cards/tiny-1/card.html", b"better figures")
    with (
        pytest.raises(ArtefactError, match=r"cards/tiny-1/card\.html was altered"),
        engine.connect() as connection,
    ):
        registry.read_card(connection, store, "tiny-1")


@pytest.mark.parametrize(("version", "message"), [("b", "no model version b"), ("a", "a was .* without a")])
def test_a_card_that_is_not_there_is_told(
    engine: Engine, store: ObjectStore, version: str, message: str
) -> None:
    register(engine, "a")
    with pytest.raises(RegistryError, match=message), engine.connect() as connection:
        registry.read_card(connection, store, version)


# --- the command line ---------------------------------------------------------------------------------------


@pytest.fixture
def stence(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What ``stence models …`` prints."""
    set_environment(monkeypatch, settings)
    return lambda *arguments: CliRunner().invoke(main, ["models", *arguments]).output


def test_the_command_line_shows_and_saves_a_card(
    card: dict[str, str], stence: Callable[..., str], tmp_path: Path
) -> None:
    assert stence("card", "tiny-1") == "# Model card: tiny-1\n"
    saved = tmp_path / "kept" / "card"
    assert stence("card", "tiny-1", "--save", str(saved)) == f"The card is in {saved / 'card.html'}.\n"
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == CARD


def test_the_command_line_rejects(engine: Engine, stence: Callable[..., str]) -> None:
    register(engine, "a")
    assert stence("reject", "a", "--by", "ada", "--why", "odd") == "a is rejected.\n"
    assert states(engine) == {"a": "rejected"}


def test_the_command_line_promotes_and_rolls_back(engine: Engine, stence: Callable[..., str]) -> None:
    register(engine, "a", "b")
    assert stence("promote", "a", "--by", "ada", "--why", "first") == "a is champion.\n"
    assert stence("promote", "b", "--by", "ada", "--why", "better") == "b is champion.\n"
    assert stence("rollback", "--by", "bob", "--why", "worse") == "a is champion again.\n"
    assert stence("promote", "b", "--by", "ada", "--why", "better").startswith(
        "Error: Model version b is retired"
    )
    assert states(engine) == {"a": "champion", "b": "retired"}
