"""Imported weights in the store: a folder per name with ``model.safetensors`` and ``manifest.json``."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from stence.errors import ConfigurationError, ObjectNotFoundError, WeightsError
from stence.objects import ObjectStore
from stence.settings import Settings
from stence.weights.files import LIMIT_BYTES, content_of
from stence.weights.published import IMPORTABLES, Importable

WEIGHTS = "model.safetensors"
MANIFEST = "manifest.json"
MANIFEST_LIMIT_BYTES = 2**20


class Manifest(BaseModel):
    """Content of ``manifest.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    name: str
    kind: str
    licence: str
    source: str
    published_sha256: str = Field(description="SHA-256 of the imported file.")
    sha256: str = Field(description="SHA-256 of model.safetensors.")
    parameters: int = Field(description="Number of parameters in all weights.")
    imported_at: datetime


def import_weights(
    store: ObjectStore, settings: Settings, name: str, path: Path, *, replace: bool = False
) -> Manifest:
    """Import the weights ``name`` into the store, from a published file or its folder.

    The import is idempotent. Raises ConfigurationError for a name not in IMPORTABLES. Raises WeightsError for
    a file that is unsafe, damaged or holds other weights. Without ``replace``, raises WeightsError also if
    the store has other weights under this name.
    """
    importable = importable_of(name)
    published = content_of(path / WEIGHTS if path.is_dir() else path)
    tensors = importable.load(published)
    content = save_tensors(tensors)
    manifest = _manifest(importable, published, tensors, content)
    if not replace:
        _check_free(store, settings, manifest)
    folder = _folder(settings, name)
    store.put(folder + WEIGHTS, content)
    store.put(folder + MANIFEST, manifest.model_dump_json(indent=2).encode())
    return manifest


def list_imported(store: ObjectStore, settings: Settings) -> dict[str, Manifest]:
    """Return the manifests of all weights in the store, by name. Raises WeightsError if one was altered."""
    found = {name: _find_manifest(store, settings, name) for name in IMPORTABLES}
    return {name: manifest for name, manifest in found.items() if manifest}


def read_manifest(store: ObjectStore, settings: Settings, name: str) -> Manifest:
    """Return the manifest of the imported weights ``name``. Raises WeightsError if they were not imported."""
    manifest = _find_manifest(store, settings, name)
    if manifest is None:
        raise WeightsError(
            f"{name} is not in the store. Fetch it from {importable_of(name).source}, "
            f"then: stence weights import {name} PATH"
        )
    return manifest


def read(store: ObjectStore, settings: Settings, name: str) -> dict[str, Tensor]:
    """Read the imported weights ``name``, float32 on the CPU.

    Raises WeightsError if they were never imported, or were altered since.
    """
    manifest = read_manifest(store, settings, name)
    key = _folder(settings, name) + WEIGHTS
    try:
        content = store.get(key, limit_bytes=LIMIT_BYTES)
        if hashlib.sha256(content).hexdigest() != manifest.sha256:
            raise WeightsError(
                f"{key} was altered: its SHA-256 is not the imported one; import {name} again."
            )
        return load_tensors(content)
    except (ObjectNotFoundError, SafetensorError) as error:
        raise WeightsError(f"{key} is missing or broken: import {name} again.") from error


def importable_of(name: str) -> Importable:
    """Return the entry of IMPORTABLES. Raises ConfigurationError, which lists the known names."""
    if name not in IMPORTABLES:
        raise ConfigurationError(f"there are no weights {name!r} to import; known: {', '.join(IMPORTABLES)}")
    return IMPORTABLES[name]


def _manifest(
    importable: Importable, published: bytes, tensors: dict[str, Tensor], content: bytes
) -> Manifest:
    return Manifest(
        name=importable.name,
        kind=importable.kind,
        licence=importable.licence,
        source=importable.source,
        published_sha256=hashlib.sha256(published).hexdigest(),
        sha256=hashlib.sha256(content).hexdigest(),
        parameters=sum(tensor.numel() for tensor in tensors.values()),
        imported_at=datetime.now(UTC),
    )


def _check_free(store: ObjectStore, settings: Settings, manifest: Manifest) -> None:
    """Raise WeightsError if the store has other weights under this name."""
    found = _find_manifest(store, settings, manifest.name)
    if found and found.sha256 != manifest.sha256:
        raise WeightsError(
            f"other weights are in the store as {manifest.name}, imported on {found.imported_at:%Y-%m-%d}. "
            "To use the new ones from now on, import with --replace; existing results do not change."
        )


def _find_manifest(store: ObjectStore, settings: Settings, name: str) -> Manifest | None:
    key = _folder(settings, name) + MANIFEST
    try:
        return Manifest.model_validate_json(store.get(key, limit_bytes=MANIFEST_LIMIT_BYTES))
    except ObjectNotFoundError:
        return None
    except ValidationError as error:
        raise WeightsError(f"{key} was altered: import {name} again, with --replace.") from error


def _folder(settings: Settings, name: str) -> str:
    return f"{settings.weights_prefix}{name}/"
