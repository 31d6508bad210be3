"""Patch features of key frames, cached in the store: a backbone is slow, and training reads them many times.

There is one object per content of a run, frame, augmentation and backbone version. It is written once and
never changed. Its key holds a hash instead of the UID.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from stence.angiography.backbone import Backbone
from stence.angiography.frames import AUGMENTATION_VERSION, augmented
from stence.errors import FeatureError, ObjectNotFoundError

if TYPE_CHECKING:
    from stence.objects import ObjectStore
    from stence.settings import Settings

TENSOR = "features"
LIMIT_BYTES = 2**24
BATCH = 8
"""Number of frames per call of a backbone; bounds memory."""


def feature_key(
    settings: Settings, backbone_version: str, sop_instance_uid: str, etag: str, frame: int, number: int
) -> str:
    """Return the key of the features of a run's frame ``frame`` in augmentation ``number``.

    ``etag`` is the version of the run's content: a file that was replaced has features of its own.
    """
    folder = feature_folder(settings, backbone_version, sop_instance_uid, etag)
    return f"{folder}frame{frame}-augmentation{AUGMENTATION_VERSION}-{number}.safetensors"


def feature_folder(settings: Settings, backbone_version: str, sop_instance_uid: str, etag: str) -> str:
    """Return the prefix of the keys of all features of a run's content."""
    run = hashlib.sha256(f"{sop_instance_uid} {etag}".encode()).hexdigest()
    return f"{settings.feature_prefix}{backbone_version}/{run[:2]}/{run}/"


def ensure_features(
    store: ObjectStore,
    settings: Settings,
    backbone: Backbone,
    sop_instance_uid: str,
    etag: str,
    frame_index: int,
    frame_pixels: NDArray[np.float32],
    versions: Sequence[int],
) -> list[str]:
    """Compute and write missing features of a frame (rows, columns). Return the keys of all versions.

    Version 0 is the original frame. The others are augmentations, seeded by the UID and their number.
    """
    keys = {
        number: feature_key(settings, backbone.version, sop_instance_uid, etag, frame_index, number)
        for number in versions
    }
    missing = [number for number, key in keys.items() if not _exists(store, key)]
    for numbers in _batches(missing):
        frames = [augmented(frame_pixels, backbone.side, number, sop_instance_uid) for number in numbers]
        for number, features in zip(numbers, backbone.features(np.stack(frames)), strict=True):
            write_features(store, keys[number], features)
    return list(keys.values())


def write_features(store: ObjectStore, key: str, features: NDArray[np.float16]) -> None:
    """Write features (tokens, patch_dim) under ``key``."""
    store.put(key, save({TENSOR: np.ascontiguousarray(features, dtype=np.float16)}))


def read_features(store: ObjectStore, key: str) -> NDArray[np.float16]:
    """Read the features (tokens, patch_dim) under ``key``.

    Raises ObjectNotFoundError; FeatureError if the object is something else, or holds NaN.
    """
    try:
        features = load(store.get(key, limit_bytes=LIMIT_BYTES))[TENSOR]
    except (SafetensorError, KeyError) as error:
        raise _broken(key) from error
    if features.ndim != 2 or features.dtype != np.float16 or not np.isfinite(features).all():
        raise _broken(key)
    return features


def _broken(key: str) -> FeatureError:
    return FeatureError(f"{key} does not hold the features of a frame: delete it; it is computed again.")


def _exists(store: ObjectStore, key: str) -> bool:
    try:
        store.head(key)
    except ObjectNotFoundError:
        return False
    return True


def _batches(numbers: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(numbers), BATCH):
        yield numbers[start : start + BATCH]
