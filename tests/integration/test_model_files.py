"""A model's files and card in the store: verified before use, and never unpickled."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sqlalchemy import Engine

from stence import registry
from stence.database import queries
from stence.errors import ArtefactError, RegistryError
from stence.objects import ObjectStore
from stence.settings import Settings
from support.artefacts import make_artefact, register_candidates


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
    register_candidates(engine, "a")
    with pytest.raises(RegistryError, match=message), engine.connect() as connection:
        registry.read_card(connection, store, version)


def test_the_command_line_shows_and_saves_a_card(
    card: dict[str, str], stence_models: Callable[..., str], tmp_path: Path
) -> None:
    assert stence_models("card", "tiny-1") == "# Model card: tiny-1\n"
    saved = tmp_path / "kept" / "card"
    assert stence_models("card", "tiny-1", "--save", str(saved)) == f"The card is in {saved / 'card.html'}.\n"
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == CARD
