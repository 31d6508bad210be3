"""A model artefact: a folder of exactly two files in the store, ``model.safetensors`` and ``manifest.json``.

No other file is opened. A file is parsed only if its SHA-256 is the registered one: the registry holds the
hash of the manifest, the manifest holds the hash of the weights. Formats that can carry code (pickles, also
zipped by ``torch.save``) are refused by their name or first bytes, without being parsed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from stence.domain.targets import TARGET_NAMES
from stence.ecg.recipes import VERSIONS
from stence.encoders import encoder_for
from stence.errors import ArtefactError
from stence.models import Certainty, RiskModel, RiskScorer
from stence.objects import ObjectStore
from stence.registry.manifest import Manifest

WEIGHTS = "model.safetensors"
MANIFEST = "manifest.json"
BLOCKS = ("depth", "blocks")
MAX_BLOCKS, MAX_DIMENSION = 100, 20_000
"""Limits of an architecture from elsewhere: its blocks, and any other of its numbers."""
CERTAINTY = "certainty."
"""Start of the names of tensors that are not the network's. Artefacts of earlier versions have none."""
FOREIGN = {b"\x80": "a Python pickle", b"PK": "a zip archive (torch.save)", b"\x1f\x8b": "a gzip archive"}


@dataclass(frozen=True, slots=True)
class Kind:
    """A file format that may be opened: offset of its JSON, and maximum size."""

    name: str
    brace_at: int
    limit_bytes: int


KINDS = {WEIGHTS: Kind("safetensors", 8, 2 * 2**30), MANIFEST: Kind("JSON", 0, 2**20)}


@dataclass(frozen=True, slots=True)
class Artefact:
    """The two files in memory."""

    manifest: Manifest
    weights: bytes

    @property
    def manifest_bytes(self) -> bytes:
        """Content of ``manifest.json``."""
        return self.manifest.model_dump_json(indent=2).encode()

    @property
    def sha256(self) -> str:
        """SHA-256 of the manifest. The manifest holds the hash of the weights, so this covers both files."""
        return hashlib.sha256(self.manifest_bytes).hexdigest()


def weights_of(model: RiskModel, certainty: Certainty | None = None) -> bytes:
    """Serialize the model's parameters and buffers, and its certainty if it is known, as safetensors."""
    tensors = dict(model.state_dict())
    if certainty is not None:
        tensors |= {CERTAINTY + name: tensor for name, tensor in certainty.tensors().items()}
    return save_tensors({name: tensor.contiguous().cpu() for name, tensor in tensors.items()})


def parse(manifest: bytes, weights: bytes) -> Artefact:
    """Check the two files of an artefact from elsewhere: format, size and hash, as ``read`` does.

    Raises ArtefactError.
    """
    for name, content in ((MANIFEST, manifest), (WEIGHTS, weights)):
        _check_kind(name, name, content)
    found = _parsed(MANIFEST, manifest)
    _check_hash(WEIGHTS, weights, found.files[WEIGHTS])
    return Artefact(found, weights)


def publish(store: ObjectStore, prefix: str, artefact: Artefact) -> str:
    """Write the artefact under ``prefix`` + its version. Return the folder's key, ending in a slash.

    The manifest is written last: a folder without a manifest is not an artefact.
    """
    folder = f"{prefix}{artefact.manifest.model_version}/"
    store.put(folder + WEIGHTS, artefact.weights)
    store.put(folder + MANIFEST, artefact.manifest_bytes)
    return folder


def read(store: ObjectStore, folder: str, sha256: str) -> Artefact:
    """Read and verify the artefact in ``folder`` against its registered ``sha256``.

    Raises ArtefactError, with the file's name, if a file is missing, additional, altered or of another
    format.
    """
    _check_names(store, folder)
    manifest = _parsed(folder + MANIFEST, _verified(store, folder, MANIFEST, sha256))
    return Artefact(manifest, _verified(store, folder, WEIGHTS, manifest.files[WEIGHTS]))


def scorer(artefact: Artefact, device: str) -> RiskScorer:
    """Build the model of a verified artefact.

    Raises ArtefactError if its input recipe or encoder is unknown, if it has other targets, or if its encoder
    does not match its recipe.
    """
    manifest = artefact.manifest
    _check_fit(manifest)
    try:
        model = _network(manifest)
        tensors = load_tensors(artefact.weights)
        certainty = _certainty(tensors, manifest)
        model.load_state_dict(tensors, strict=True)
    except (SafetensorError, RuntimeError, ValueError, TypeError, KeyError) as error:
        raise ArtefactError(
            f"{WEIGHTS} of {manifest.model_version} does not fit its manifest: {error}"
        ) from error
    return RiskScorer(
        model,
        manifest.calibration,
        model_version=manifest.model_version,
        recipe=VERSIONS[manifest.preprocessing.version],
        windows=manifest.preprocessing.windows,
        thresholds=manifest.raising,
        device=device,
        certainty=certainty,
    )


def check_size(artefact: Artefact) -> None:
    """Raise ArtefactError if the network of the manifest is larger than its weights, before it is built.

    ``read`` needs no such check: what it opens was trained here or checked at its import.
    """
    manifest, architecture = artefact.manifest, artefact.manifest.architecture
    _check_fit(manifest)
    try:
        _check_dimensions({"shared_space": architecture.shared_space, **architecture.config})
        with torch.device("meta"):  # shapes without memory
            tensors = _network(manifest).state_dict().values()
    except (RuntimeError, ValueError, TypeError, KeyError, ArithmeticError) as error:
        raise ArtefactError(f"{MANIFEST} describes no network that can be built: {error}") from error
    if sum(tensor.numel() for tensor in tensors) > len(artefact.weights):
        raise ArtefactError(f"{WEIGHTS} has fewer bytes than {MANIFEST} has parameters.")


def _check_dimensions(config: Mapping[str, Any]) -> None:
    """Raise ValueError for numbers beyond those of any encoder: even without memory, blocks take time."""
    for name, value in config.items():
        numbers = [len(value)] if isinstance(value, str) else value if isinstance(value, list) else [value]
        limit = MAX_BLOCKS if name in BLOCKS else MAX_DIMENSION
        if sum(abs(number) for number in numbers if isinstance(number, int | float)) > limit:
            raise ValueError(f"{name} is beyond {limit}")


def _network(manifest: Manifest) -> RiskModel:
    architecture = manifest.architecture
    recipe = VERSIONS[manifest.preprocessing.version]
    encoder = encoder_for(recipe, architecture.encoder, architecture.config)
    return RiskModel(
        encoder, clinical=architecture.clinical != "none", shared_space=architecture.shared_space
    )


def _certainty(tensors: dict[str, Tensor], manifest: Manifest) -> Certainty | None:
    """Take the certainty's tensors out of ``tensors``; None if there are none."""
    names = [name for name in tensors if name.startswith(CERTAINTY)]
    found = {name.removeprefix(CERTAINTY): tensors.pop(name) for name in names}
    return Certainty.from_tensors(found, manifest.calibration_draws) if found else None


def _check_names(store: ObjectStore, folder: str) -> None:
    names = {found.key.removeprefix(folder) for found in store.list(folder)}
    if foreign := sorted(names - KINDS.keys()):
        raise ArtefactError(
            f"{', '.join(folder + name for name in foreign)}: not part of a model artefact and not opened; "
            f"an artefact holds {MANIFEST} and {WEIGHTS} only. Remove it, or restore the folder from backup."
        )
    if missing := sorted(KINDS.keys() - names):
        raise ArtefactError(
            f"{', '.join(folder + name for name in missing)} is missing: restore it from a backup."
        )


def _parsed(key: str, content: bytes) -> Manifest:
    try:
        manifest = Manifest.model_validate_json(content)
        manifest.files[WEIGHTS]
    except (ValidationError, KeyError) as error:
        raise ArtefactError(
            f"{key} is not a manifest that this version of stence can read: {error}"
        ) from error
    return manifest


def _verified(store: ObjectStore, folder: str, name: str, sha256: str) -> bytes:
    key = folder + name
    content = store.get(key, limit_bytes=KINDS[name].limit_bytes)
    _check_kind(key, name, content)
    _check_hash(key, content, sha256)
    return content


def _check_kind(key: str, name: str, content: bytes) -> None:
    kind = KINDS[name]
    if content[kind.brace_at : kind.brace_at + 1] != b"{":
        raise ArtefactError(
            f"{key} is {_likely(content)}, but {kind.name} is expected: refused, and not opened."
        )


def _check_hash(key: str, content: bytes, sha256: str) -> None:
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ArtefactError(
            f"{key} was altered: its SHA-256 is not the registered one. "
            "Restore it from a backup, or train again."
        )


def _likely(content: bytes) -> str:
    return next(
        (name for magic, name in FOREIGN.items() if content.startswith(magic)), "a file of unknown kind"
    )


def _check_fit(manifest: Manifest) -> None:
    if manifest.preprocessing.version not in VERSIONS:
        raise ArtefactError(
            f"{manifest.model_version} was trained on preprocessing {manifest.preprocessing.version}, but "
            f"this installation has {', '.join(VERSIONS)}: train again."
        )
    if manifest.targets != TARGET_NAMES:
        raise ArtefactError(
            f"{manifest.model_version} predicts {manifest.targets}, but stence expects {TARGET_NAMES}."
        )
