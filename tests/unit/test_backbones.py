"""Backbones: DINOv2 as published, and a stand-in that sees narrowed vessels without weights."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest
import torch

from stence import weights
from stence.angiography.backbone import Backbone, open_backbone
from stence.errors import ConfigurationError, WeightsError
from stence.objects import LocalStore
from stence.settings import Settings
from support.dinov2 import hugging_face_folder, meta_weights, patch_tokens


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def ridges(store: LocalStore, settings: Settings) -> Backbone:
    return open_backbone("ridges", store, settings, "cpu")


def frames(count: int, side: int) -> np.ndarray:
    return np.random.default_rng(4).random((count, side, side), dtype=np.float32)


def test_dinov2_equals_an_independent_forward_without_any_network(
    store: LocalStore, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    meta = meta_weights()
    manifest = weights.import_weights(
        store, settings, "dinov2-vits14", hugging_face_folder(tmp_path / "published", meta)
    )
    backbone = open_backbone("dinov2-vits14", store, settings, "cpu")
    assert backbone.version == f"dinov2-vits14-{manifest.sha256[:8]}"
    inputs = frames(1, 518)
    features = backbone.features(inputs)
    assert features.dtype == np.float16
    assert features.shape == (1, backbone.tokens, backbone.patch_dim) == (1, 1369, 384)
    np.testing.assert_allclose(features, patch_tokens(meta, inputs), atol=5e-3)


def test_dinov2_without_weights_says_how_to_get_them(store: LocalStore, settings: Settings) -> None:
    with pytest.raises(WeightsError, match="stence weights import dinov2-vits14"):
        open_backbone("dinov2-vits14", store, settings, "cpu")


def test_an_unknown_backbone_lists_the_known_ones(store: LocalStore, settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="ridges, dinov2-vits14"):
        open_backbone("resnet", store, settings, "cpu")


def test_frames_of_another_size_are_refused(ridges: Backbone) -> None:
    with pytest.raises(ValueError, match=r"\(2, 100, 100\)"):
        ridges.features(frames(2, 100))


def test_ridges_of_a_frame_do_not_depend_on_the_others(ridges: Backbone) -> None:
    inputs = frames(3, ridges.side)
    features = ridges.features(inputs)
    assert features.dtype == np.float16
    assert features.shape == (3, ridges.tokens, ridges.patch_dim)
    np.testing.assert_array_equal(features[1:2], ridges.features(inputs[1:2]))


def test_ridges_of_the_same_frame_are_the_same_in_any_number_of_threads(ridges: Backbone) -> None:
    inputs = frames(1, ridges.side)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = ridges.features(inputs)
        torch.set_num_threads(2)
        np.testing.assert_array_equal(ridges.features(inputs), alone)
    finally:
        torch.set_num_threads(threads)
