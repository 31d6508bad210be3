"""Features in the store: made once, found again, and never taken for something they are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from stence.angiography.features import ensure_features, feature_key, read_features, write_features
from stence.errors import FeatureError, ObjectNotFoundError
from stence.objects import LocalStore
from stence.settings import Settings

UID = "1.2.840.113619.2.55.3.1234567"
ETAG = "first"
FRAME = np.random.default_rng(3).random((64, 64), dtype=np.float32)


class Means:
    """A backbone that sees two patches, and remembers how many frames it was given at a time."""

    version = "means-1"
    patch_dim, tokens, side = 1, 2, 32
    initial_blocks = None

    def __init__(self) -> None:
        self.batches: list[int] = []

    def features(self, frames: np.ndarray) -> np.ndarray:
        self.batches.append(len(frames))
        halves = frames.reshape(len(frames), 2, 16, 32)
        return halves.mean(axis=(2, 3))[..., None].astype(np.float16)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def test_features_come_back_as_they_were_written(store: LocalStore) -> None:
    features = np.random.default_rng(1).standard_normal((64, 384)).astype(np.float16)
    write_features(store, "features/a", features)
    read = read_features(store, "features/a")
    assert read.dtype == np.float16
    np.testing.assert_array_equal(read, features)


def test_keys_name_no_run_and_differ_in_everything_that_changes_features(settings: Settings) -> None:
    keys = [
        feature_key(settings, "ridges-1", UID, ETAG, 4, 0),
        feature_key(settings, "ridges-2", UID, ETAG, 4, 0),
        feature_key(settings, "ridges-1", UID + "8", ETAG, 4, 0),
        feature_key(settings, "ridges-1", UID, "replaced", 4, 0),
        feature_key(settings, "ridges-1", UID, ETAG, 5, 0),
        feature_key(settings, "ridges-1", UID, ETAG, 4, 1),
    ]
    assert len(set(keys)) == len(keys)
    assert all(key.startswith("features/") and UID not in key for key in keys)


def test_only_missing_versions_are_made(store: LocalStore, settings: Settings) -> None:
    backbone = Means()
    keys = ensure_features(store, settings, backbone, UID, ETAG, 4, FRAME, [0, 1])
    more = ensure_features(store, settings, backbone, UID, ETAG, 4, FRAME, [0, 1, 2])
    again = ensure_features(store, settings, backbone, UID, ETAG, 4, FRAME, [0, 1, 2])
    assert backbone.batches == [2, 1]
    assert more[:2] == keys
    assert again == more
    versions = [read_features(store, key) for key in more]
    assert versions[0][:, 0] == pytest.approx(FRAME.reshape(2, 32, 64).mean(axis=(1, 2)), abs=1e-3)
    assert not np.array_equal(versions[1], versions[2])


def test_many_versions_go_through_the_backbone_in_small_batches(
    store: LocalStore, settings: Settings
) -> None:
    backbone = Means()
    keys = ensure_features(store, settings, backbone, UID, ETAG, 4, FRAME, range(20))
    assert sum(backbone.batches) == len(set(keys)) == 20
    assert max(backbone.batches) <= 8


def test_a_missing_object_is_not_an_empty_one(store: LocalStore) -> None:
    with pytest.raises(ObjectNotFoundError):
        read_features(store, "features/none")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not safetensors at all",
        save({"other": np.zeros((2, 1), dtype=np.float16)}),
        save({"features": np.zeros((2, 1), dtype=np.float32)}),
        save({"features": np.full((2, 1), np.nan, dtype=np.float16)}),
        save({"features": np.zeros((2, 1), dtype=np.float16)})[:-1],
    ],
    ids=["empty", "text", "other name", "other type", "not finite", "cut off"],
)
def test_a_broken_object_is_named_and_not_used(store: LocalStore, content: bytes) -> None:
    store.put("features/broken", content)
    with pytest.raises(FeatureError, match="features/broken"):
        read_features(store, "features/broken")
