"""Model cards in the store, in their own folders; hashes are verified on read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from sqlalchemy import Connection, select

from stence.database.tables import models
from stence.errors import ArtefactError, RegistryError
from stence.objects import ObjectStore

LIMIT_BYTES = 64 * 2**20


def publish_card(store: ObjectStore, prefix: str, version: str, files: Mapping[str, bytes]) -> dict[str, str]:
    """Write a card's files under ``prefix`` + the version. Return key -> SHA-256, for the manifest."""
    card = {f"{prefix}{version}/{name}": content for name, content in files.items()}
    for key, content in card.items():
        store.put(key, content)
    return {key: hashlib.sha256(content).hexdigest() for key, content in card.items()}


def read_card(connection: Connection, store: ObjectStore, version: str) -> dict[str, bytes]:
    """Read a version's card: the content of each file by name.

    Raises RegistryError for an unknown version or a version without a card, ArtefactError for an altered
    file.
    """
    manifest = connection.scalar(select(models.c.manifest).where(models.c.version == version))
    if manifest is None:
        raise RegistryError(f"There is no model version {version}; stence models list shows all versions.")
    if not manifest.get("card"):
        raise RegistryError(f"Model version {version} was registered without a model card.")
    return {key.rpartition("/")[2]: _verified(store, key, sha256) for key, sha256 in manifest["card"].items()}


def _verified(store: ObjectStore, key: str, sha256: str) -> bytes:
    content = store.get(key, limit_bytes=LIMIT_BYTES)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ArtefactError(
            f"{key} was altered: its SHA-256 is not the registered one. Restore it from a backup."
        )
    return content
