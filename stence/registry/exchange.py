"""A model version as one archive, for a hospital that cannot train its own, and such an archive's import.

Nothing of the sender is trusted: no file is unpickled, no page of it is kept, and its gate's verdict is only
recorded. An imported model is a candidate until this hospital's own patients have judged it.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection

import stence
from stence.archive import Archive, open_archive, write_archive
from stence.domain.text import plain_text
from stence.errors import ArchiveError, ArtefactError, RegistryError
from stence.objects import ObjectStore
from stence.registry import artefact as files
from stence.registry.artefact import KINDS, MANIFEST, WEIGHTS, Artefact
from stence.registry.cards import LIMIT_BYTES as CARD_BYTES
from stence.registry.cards import publish_card, read_card
from stence.registry.versions import find, register, state_of
from stence.settings import Settings

KIND = "a model of stence"
MODEL, CARD = "model/", "card/"
DIRECTORY_BYTES = 2**20
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
CARD_FILE = re.compile(r"card\.md|[a-z0-9_-]{1,60}\.png")
"""Files of a card that are taken over. Pages (HTML) are not: they could run scripts."""
MAX_CARD_FILES = 100
ORIGIN = "origin.md"
"""File of an imported model's card that says where it comes from."""


class Sender(NamedTuple):
    """Version of stence that exported a model, and when."""

    stence: str
    exported_at: datetime


def export_model(connection: Connection, store: ObjectStore, version: str, path: Path) -> None:
    """Write a version's artefact and card into one archive. There is nothing of a patient in it.

    Raises RegistryError for an unknown version, ArtefactError for altered files, ArchiveError.
    """
    found = find(connection, version)
    artefact = files.read(store, found.folder, found.sha256)
    card = read_card(connection, store, version) if artefact.manifest.card else {}
    with write_archive(path, KIND, {"model_version": version, "sha256": artefact.sha256}) as archive:
        archive.add(MODEL + MANIFEST, [artefact.manifest_bytes])
        archive.add(MODEL + WEIGHTS, [artefact.weights])
        for name, content in card.items():
            archive.add(CARD + name, [content])


def import_model(
    connection: Connection, store: ObjectStore, settings: Settings, path: Path, *, by: str, why: str
) -> str:
    """Check an exported model, publish it here, and register it as a candidate. Return its version.

    Raises ArchiveError or ArtefactError for a file that is damaged, altered, hostile, or of a version of
    stence that this one cannot run; RegistryError if the version exists.
    """
    with open_archive(path, KIND, DIRECTORY_BYTES) as archive:
        artefact, card = _read(archive, path)
        sender = Sender(plain_text(archive.manifest.stence) or "", archive.manifest.created_at)
    version = artefact.manifest.model_version
    if state_of(connection, version) is not None:
        raise RegistryError(f"Model version {version} is registered already; versions never change.")
    card[ORIGIN] = origin(artefact, sender, by=by, why=why).encode()
    differing = {
        "gate": None,
        "origin": {"stence": sender.stence, "exported_at": sender.exported_at.isoformat()},
        "card": publish_card(store, settings.card_prefix, version, card),
    }
    folder = files.publish(store, settings.model_prefix, artefact)
    reason = f"{why} (trained elsewhere; exported by stence {sender.stence} at {sender.exported_at:%Y-%m-%d})"
    register(connection, folder, artefact, by=by, why=reason, differing=differing)
    return version


def _read(archive: Archive, path: Path) -> tuple[Artefact, dict[str, bytes]]:
    """Read and check everything, before anything is written."""
    _check_members(archive, path)
    try:
        artefact = files.parse(archive.read(MODEL + MANIFEST), archive.read(MODEL + WEIGHTS))
    except ArtefactError as error:
        raise ArtefactError(
            f"{path}, written by stence {archive.manifest.stence}, cannot be imported into stence "
            f"{stence.__version__}: {error}"
        ) from error
    if not VERSION.fullmatch(artefact.manifest.model_version):
        raise ArtefactError(f"{path}: its model version is not a plain name.")
    files.check_size(artefact)
    files.scorer(artefact, "cpu")
    names = [name.removeprefix(CARD) for name in archive.manifest.members if name.startswith(CARD)]
    return artefact, {name: archive.read(CARD + name) for name in names if CARD_FILE.fullmatch(name)}


def _check_members(archive: Archive, path: Path) -> None:
    members = archive.manifest.members
    limits = {MODEL + name: kind.limit_bytes for name, kind in KINDS.items()}
    card = [name for name in members if name not in limits]
    if missing := sorted(limits.keys() - members.keys()):
        raise ArchiveError(f"{path} lacks {', '.join(missing)}.")
    if len(card) > MAX_CARD_FILES or not all(name.startswith(CARD) for name in card):
        raise ArchiveError(f"{path} holds other files than those of a model and its card.")
    if sum(members[name].size for name in card) > CARD_BYTES:
        raise ArchiveError(f"{path}: its card is larger than {CARD_BYTES} bytes.")
    for name, limit in limits.items():
        if members[name].size > limit:
            raise ArchiveError(f"{path}: {name} is larger than {limit} bytes.")


def origin(artefact: Artefact, sender: Sender, *, by: str, why: str) -> str:
    """Say in Markdown where an imported model comes from."""
    manifest, code = artefact.manifest, artefact.manifest.code
    trained_by = plain_text(f"stence {code.stence}, commit {code.git_commit or 'unknown'}")
    patients = sum(manifest.training_data.patients.values())
    verdict = (manifest.gate or {}).get("result", "none")
    return f"""# {manifest.model_version} was trained elsewhere

| | |
|---|---|
| Made | {manifest.created_at:%Y-%m-%d}, by {trained_by} |
| Trained on | {patients} patients of another hospital |
| Verdict of the gate there | {plain_text(str(verdict))} |
| SHA-256 of its manifest | {artefact.sha256} |
| Exported | {sender.exported_at:%Y-%m-%d}, by stence {sender.stence} |
| Imported by | {by}: {why} |

The card's figures are those of the other hospital's patients. The history has those of this hospital's own.
"""
