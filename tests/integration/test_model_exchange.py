"""A model of one hospital scores in another: first in shadow, and only if its file is what it says."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from sqlalchemy import Engine

from stence import database, registry, scoring
from stence.domain.checks import Check, Result, Verdict
from stence.errors import StenceError
from stence.objects import ObjectStore, open_store
from stence.registry import Artefact
from stence.registry.exchange import import_model
from stence.settings import Settings
from stence.validation import judge_imported
from stence.validation.imported import against_chance
from support.artefacts import make_artefact
from support.champion import crown
from support.database import copied
from support.ecgs import heartbeats, store_ecg
from support.scoring import give_patients
from support.validated import CARD, NEW, Hospital

ABOUT = {"by": "ada", "why": "they have thousands of patients"}


@pytest.fixture(scope="module")
def elsewhere(postgres: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Another hospital, where the model was trained."""
    folder = tmp_path_factory.mktemp("elsewhere")
    with copied(postgres, "template") as url:
        yield Settings(data_dir=folder, database_url=url, device="cpu", model_prefix="trained/")


@pytest.fixture(scope="module")
def sent(elsewhere: Settings) -> Path:
    """The file of a champion there that was called better, with a card."""
    store = open_store(elsewhere.resolved_store_url, elsewhere)
    card = {"card.md": b"# imported-1", "card.html": b"<script>", "auroc.png": b"\x89PNG"}
    made = make_artefact("imported-1")
    gate = {"gate": {"result": "passed", "better": True, "checks": []}, "metrics": CARD}
    keys = registry.publish_card(store, elsewhere.card_prefix, "imported-1", card)
    artefact = Artefact(made.manifest.model_copy(update=gate | {"card": keys}), made.weights)
    with database.connect(elsewhere) as engine, engine.begin() as connection:
        folder = registry.publish(store, elsewhere.model_prefix, artefact)
        registry.register(connection, folder, artefact, by="stence retrain", why="trained")
        registry.export_model(connection, store, "imported-1", elsewhere.data_dir / "model.zip")
    return elsewhere.data_dir / "model.zip"


@pytest.fixture
def exported(sent: Path, tmp_path: Path) -> Path:
    """That file, for the test alone."""
    return shutil.copy(sent, tmp_path / "model.zip")


@pytest.fixture
def take(engine: Engine, store: ObjectStore, settings: Settings) -> Callable[[Path], str]:
    """Import a file; its version."""

    def take(file: Path) -> str:
        with engine.begin() as connection:
            return import_model(connection, store, settings, file, **ABOUT)

    return take


def state(engine: Engine, version: str) -> str | None:
    with engine.connect() as connection:
        return registry.state_of(connection, version)


def score(engine: Engine, store: ObjectStore, settings: Settings, found: registry.Registered) -> int:
    scoring.index(engine, store, settings)
    with scoring.open_run(engine, store, settings, registry.load(found, store, settings)) as run:
        while run.score(limit=64):
            pass
    return run.summary().scored_by_run


def test_an_imported_model_scores_in_shadow_and_is_promoted_by_hand(
    engine: Engine,
    store: ObjectStore,
    settings: Settings,
    exported: Path,
    stence_models: Callable[..., str],
) -> None:
    crown(engine, store, settings, "own-1")
    store_ecg(store, "ecg/0.hea", heartbeats(0))
    give_patients(store, ("p", "0"))
    said = stence_models("import", str(exported), "--by", "ada", "--why", "more patients")
    assert "imported-1 is shadow. left open by the validation on own patients" in said
    with engine.connect() as connection:
        [shadow] = registry.shadows(connection)
        assert registry.due_shadows(connection, 0) == []
    assert score(engine, store, settings, shadow) == 1
    assert state(engine, "imported-1") == "shadow"
    assert "is champion" in stence_models("promote", "imported-1", "--by", "ada", "--why", "it agrees")
    assert state(engine, "own-1") == "retired"


def test_the_files_of_an_imported_model_are_those_of_the_other_hospital(
    store: ObjectStore, elsewhere: Settings, exported: Path, take: Callable[[Path], str]
) -> None:
    take(exported)
    theirs = open_store(elsewhere.resolved_store_url, elsewhere)
    for name in ("model.safetensors", "manifest.json"):
        assert store.get(f"models/imported-1/{name}") == theirs.get(f"trained/imported-1/{name}")


def test_the_card_says_where_the_model_comes_from_and_no_page_is_kept(
    engine: Engine, store: ObjectStore, exported: Path, take: Callable[[Path], str]
) -> None:
    take(exported)
    with engine.connect() as connection:
        card = registry.read_card(connection, store, "imported-1")
    assert card.keys() == {"card.md", "auroc.png", "origin.md"}
    origin = card["origin.md"].decode()
    assert "was trained elsewhere" in origin
    assert "| Verdict of the gate there | passed |" in origin
    assert "ada: they have thousands of patients" in origin


def test_the_verdict_of_another_hospital_promotes_nothing(
    engine: Engine, exported: Path, take: Callable[[Path], str]
) -> None:
    take(exported)
    with engine.begin() as connection, pytest.raises(StenceError, match="No gate has judged"):
        registry.promote(connection, "imported-1", by="ada", why="it was passed there")


@pytest.mark.slow
def test_own_patients_judge_an_imported_model(
    engine: Engine, store: ObjectStore, settings: Settings, exported: Path, take: Callable[[Path], str]
) -> None:
    take(exported)
    few = judge_imported(engine, store, settings, "imported-1")
    assert few.result.value == "cannot tell"
    hospital = Hospital(store)
    hospital.fill("P", NEW, 60)
    hospital.write()
    scoring.index(engine, store, settings)
    verdict = judge_imported(engine, store, settings, "imported-1")
    assert "AUROC" in verdict.checks[0].finding


def test_a_model_that_own_patients_refute_is_rejected(
    engine: Engine, exported: Path, take: Callable[[Path], str]
) -> None:
    take(exported)
    verdict = Verdict((Check("own patients", Result.FAILED, "AUROC 0.300"),))
    with engine.begin() as connection:
        assert registry.judge(connection, "imported-1", verdict) == "rejected"
    assert state(engine, "imported-1") == "rejected"


@pytest.mark.parametrize(
    ("lower", "upper", "result"),
    [(0.51, 0.8, "passed"), (0.4, 0.6, "cannot tell"), (0.2, 0.49, "failed")],
)
def test_chance_is_the_bound_of_an_imported_model(lower: float, upper: float, result: str) -> None:
    assert against_chance({"lower": lower, "upper": upper}).value == result


def test_a_version_is_imported_once(exported: Path, take: Callable[[Path], str]) -> None:
    take(exported)
    with pytest.raises(StenceError, match="imported-1 is registered already"):
        take(exported)


# --- hostile files ------------------------------------------------------------------------------------------

Change = Callable[[dict[str, bytes]], None]


def repack(file: Path, change: Change, compression: int = 0) -> Path:
    """The archive with other members, sealed as a person who knows the format would."""
    with ZipFile(file) as read:
        members = {name: read.read(name) for name in read.namelist()}
    manifest = json.loads(members.pop("manifest.json"))
    change(members)
    manifest["members"] = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
        for name, content in members.items()
    }
    hostile = file.with_name("hostile.zip")
    with ZipFile(hostile, "w", compression) as written:
        for name, content in (members | {"manifest.json": json.dumps(manifest).encode()}).items():
            written.writestr(name, content)
    return hostile


def with_manifest(**changes: Any) -> Change:
    """Change the model's manifest; ``architecture`` is updated, other fields are replaced."""

    def change(members: dict[str, bytes]) -> None:
        manifest = json.loads(members["model/manifest.json"])
        config = manifest["architecture"]["config"] | changes.pop("config", {})
        manifest = manifest | changes
        manifest["architecture"]["config"] = config
        members["model/manifest.json"] = json.dumps(manifest).encode()

    return change


def with_weights(content: bytes) -> Change:
    """Replace the weights, and their hash."""

    def change(members: dict[str, bytes]) -> None:
        manifest = json.loads(members["model/manifest.json"])
        manifest["files"]["model.safetensors"] = hashlib.sha256(content).hexdigest()
        members |= {"model/model.safetensors": content, "model/manifest.json": json.dumps(manifest).encode()}

    return change


HOSTILE = {
    "a pickle": (with_weights(b"\x80\x04K\x01."), "a Python pickle"),
    "weights of another": (
        lambda members: members.update({"model/model.safetensors": b"        {"}), "SHA-256",
    ),
    "a huge network": (with_manifest(config={"width": 9984, "heads": 1, "depth": 100}), "parameters"),
    "beyond limits": (with_manifest(config={"width": 10**12}), "width is beyond"),
    "a path": (with_manifest(model_version="../../etc"), "plain name"),
    "newer": (with_manifest(format=2), r"written by stence .* cannot be imported into stence"),
    "unknown preprocessing": (
        with_manifest(preprocessing={"version": "z", "windows": 2}), "trained on preprocessing z",
    ),
    "further files": (lambda members: members.update({"../evil": b""}), "other files"),
    "no weights": (lambda members: members.pop("model/model.safetensors"), "lacks model/model.safetensors"),
    "a large card": (
        lambda members: members.update({"card/card.md": bytes(65 * 2**20)}), "its card is larger than",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_with_its_reason(
    name: str, engine: Engine, store: ObjectStore, exported: Path, take: Callable[[Path], str]
) -> None:
    change, reason = HOSTILE[name]
    with pytest.raises(StenceError, match=reason):
        take(repack(exported, change))
    assert state(engine, "imported-1") is None
    assert list(store.list("")) == []


def test_a_compressed_archive_is_refused_unread(exported: Path, take: Callable[[Path], str]) -> None:
    with pytest.raises(StenceError, match="is compressed or encrypted"):
        take(repack(exported, lambda _: None, ZIP_DEFLATED))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 2, "stence": "9.1"}, "of format 2, written by stence 9.1"),
        ({"kind": "a backup of stence"}, "is not a model of stence"),
        ({"members": {}}, "its members are not those"),
        ({"created_at": "yesterday"}, "cannot be understood"),
    ],
)
def test_an_archive_of_another_kind_is_refused(
    change: dict[str, Any], reason: str, exported: Path, take: Callable[[Path], str]
) -> None:
    other = exported.with_name("other.zip")
    with ZipFile(exported) as read, ZipFile(other, "w") as written:
        for name in read.namelist():
            content = read.read(name)
            if name == "manifest.json":
                content = json.dumps(json.loads(content) | change).encode()
            written.writestr(name, content)
    with pytest.raises(StenceError, match=reason):
        take(other)


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_a_cut_archive_is_refused(cut: int, exported: Path, take: Callable[[Path], str]) -> None:
    content = exported.read_bytes()
    exported.write_bytes(content[:cut])
    with pytest.raises(StenceError, match="no complete archive"):
        take(exported)


def test_an_altered_member_is_found(exported: Path, take: Callable[[Path], str]) -> None:
    """Its checksum of the zip format is right; the one of the manifest is not."""
    other = exported.with_name("other.zip")
    with ZipFile(exported) as read, ZipFile(other, "w") as written:
        for name in read.namelist():
            content = read.read(name)
            written.writestr(name, b"# another!!!" if name == "card/card.md" else content)
    with pytest.raises(StenceError, match=r"card/card\.md is not what was written"):
        take(other)


def test_a_flipped_bit_is_found(exported: Path, take: Callable[[Path], str]) -> None:
    content = bytearray(exported.read_bytes())
    content[len(content) // 3] ^= 1
    exported.write_bytes(content)
    with pytest.raises(StenceError, match="damaged"):
        take(exported)
