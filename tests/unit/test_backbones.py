"""Backbones: DINOv2 as published, and a stand-in that sees narrowed vessels without weights."""

from __future__ import annotations

import socket
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from stence import weights
from stence.angiography.backbone import Backbone
from stence.angiography.backbones import open_backbone
from stence.angiography.tracing import Note
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_ridges_of_a_frame_do_not_depend_on_the_others(ridges: Backbone) -> None:
    inputs = frames(3, ridges.side)
    features = ridges.features(inputs)
    assert features.dtype == np.float16
    assert features.shape == (3, ridges.tokens, ridges.patch_dim)
    np.testing.assert_array_equal(features[1:2], ridges.features(inputs[1:2]))


def artery(side: int, narrowing: float, *, occluded: bool = False) -> np.ndarray:
    """A winding artery of 7 pixels across a frame, at the middle column thinner by this share, or ending."""
    rows, columns = np.mgrid[:side, :side]
    middle = side / 2 + 12 * np.sin(columns / 30)
    bump = np.clip(1 - np.abs(columns - side / 2) / 8, 0, 1)
    radius = 3.5 * (1 - narrowing * bump)
    depth = 2 * np.sqrt(np.maximum(radius**2 - (rows - middle) ** 2, 0))
    if occluded:
        depth[columns > side / 2] = 0
    frame = 0.8 * np.exp(-0.1 * depth) * (1 - 0.3 * rows / side)
    frame += np.random.default_rng(8).normal(0, 0.01, frame.shape)
    return ndimage.gaussian_filter(frame, 0.7).clip(0, 1).astype(np.float32)


def noted(ridges: Backbone, frame: np.ndarray, note: Note) -> np.ndarray:
    """One of the notes, patch by patch, as far as it is of the artery's middle third."""
    grid = round(ridges.tokens**0.5)
    features = ridges.features(frame[None])[0].reshape(grid, grid, -1)[..., note]
    return features[:, grid // 3 : grid - grid // 3].astype(np.float64)


def test_ridges_see_a_narrowing_where_it_is(ridges: Backbone) -> None:
    healthy = noted(ridges, artery(ridges.side, 0), Note.NARROWED_MOST)
    narrowed = noted(ridges, artery(ridges.side, 0.9), Note.NARROWED_MOST)
    assert healthy.max() < 0.1 * narrowed.max()
    row, column = np.unravel_index(narrowed.argmax(), narrowed.shape)
    assert abs(row - (narrowed.shape[0] - 1) / 2) <= 1.5
    assert abs(column - (narrowed.shape[1] - 1) / 2) <= 1.5


def test_ridges_see_more_the_tighter_a_narrowing_is(ridges: Backbone) -> None:
    shares = (0, 0.4, 0.6, 0.8, 1)
    depths = [noted(ridges, artery(ridges.side, share), Note.NARROWED_MOST).max() for share in shares]
    assert all(tighter > 1.5 * wider for wider, tighter in pairwise(depths))


def test_ridges_see_where_an_artery_ends(ridges: Backbone) -> None:
    occluded = noted(ridges, artery(ridges.side, 0, occluded=True), Note.ENDED)
    healthy = noted(ridges, artery(ridges.side, 0), Note.ENDED)
    assert occluded.max() > 2
    assert healthy.max() == 0


def test_ridges_do_not_depend_on_brightness(ridges: Backbone) -> None:
    frame = artery(ridges.side, 0.7)
    bright, dark = ridges.features(np.stack([frame, 0.5 * frame])).astype(np.float64)
    assert np.corrcoef(bright.ravel(), dark.ravel())[0, 1] > 0.99


def test_ridges_see_nothing_in_an_empty_frame(ridges: Backbone) -> None:
    grey = np.full((1, ridges.side, ridges.side), 0.5, dtype=np.float32)
    black = np.zeros((1, ridges.side, ridges.side), dtype=np.float32)
    for frame in (grey, black):
        assert not ridges.features(frame)[..., : len(Note)].any()
