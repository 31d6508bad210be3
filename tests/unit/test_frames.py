"""Frames for a backbone: nothing is lost or moved in resizing, and an augmentation is what it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.nn import functional

from stence.angiography.frames import augmented, draw

DRAWS = [draw(number, "1.2.840.1") for number in range(1, 300)]


def scene(rows: int, columns: int) -> np.ndarray:
    """Smooth random structure from 0 to 1."""
    noise = np.random.default_rng(5).standard_normal((rows, columns))
    noise = ndimage.gaussian_filter(noise, rows / 60)
    return ((noise - noise.min()) / np.ptp(noise)).astype(np.float32)


@pytest.mark.parametrize("shape", [(512, 512), (1024, 1024), (480, 640)])
@pytest.mark.parametrize("side", [224, 518])
def test_a_frame_as_it_is_equals_torchs_antialiased_resize(shape: tuple[int, int], side: int) -> None:
    frame = scene(*shape)
    expected = functional.interpolate(
        torch.from_numpy(frame)[None, None], (side, side), mode="bilinear", antialias=True
    )
    np.testing.assert_allclose(augmented(frame, side, 0, "1.2.840.1"), expected[0, 0], atol=0.02)


def test_detail_finer_than_a_pixel_averages_out() -> None:
    checkerboard = (np.indices((512, 512)).sum(axis=0) % 2).astype(np.float32)
    assert np.ptp(augmented(checkerboard, 128, 0, "")) < 0.1


def test_an_augmentation_belongs_to_its_number_and_text() -> None:
    frame = scene(256, 256)
    first = augmented(frame, 64, 1, "1.2.840.1")
    assert first.shape == (64, 64)
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, augmented(frame, 64, 1, "1.2.840.1"))
    assert np.abs(first - augmented(frame, 64, 2, "1.2.840.1")).max() > 0.05
    assert np.abs(first - augmented(frame, 64, 1, "1.2.840.2")).max() > 0.05


def test_every_augmentation_stays_between_black_and_white() -> None:
    frame = scene(256, 256)
    for number in range(1, 40):
        image = augmented(frame, 64, number, "1.2.840.1")
        assert image.min() >= 0
        assert image.max() <= 1


def test_draws_fill_the_published_ranges() -> None:
    for values, low, high in (
        ([changes.width * changes.height for changes in DRAWS], 0.5, 1.5),
        ([changes.width / changes.height for changes in DRAWS], 3 / 4, 4 / 3),
        ([changes.rotation for changes in DRAWS], -10, 10),
        ([changes.brightness for changes in DRAWS], 0.2, 1.8),
        ([changes.contrast for changes in DRAWS], 0.2, 1.8),
        ([changes.blur_sigma for changes in DRAWS], 1, 2),
    ):
        assert low <= min(values) < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < max(values) <= high


def test_a_window_lies_in_the_frame_or_the_frame_in_the_window() -> None:
    for changes in DRAWS:
        for centre, size in ((changes.centre_x, changes.width), (changes.centre_y, changes.height)):
            near, far = centre - size / 2, centre + size / 2
            inside = near >= -1e-9 and far <= 1 + 1e-9
            around = near <= 1e-9 and far >= 1 - 1e-9
            assert inside or around


def test_a_spot_moves_to_where_the_draw_says() -> None:
    rows, columns, side = 300, 400, 200
    for number in range(1, 20):
        changes = draw(number, "1.2.840.1")
        y, x = changes.centre_y * rows + 17, changes.centre_x * columns - 25
        i, j = np.indices((rows, columns)) + 0.5
        spot = np.exp(-((i - y) ** 2 + (j - x) ** 2) / (2 * 4**2)).astype(np.float32)
        image = augmented(spot, side, number, "1.2.840.1")
        weight = image - np.median(image)
        found_y, found_x = ((np.indices(image.shape) + 0.5) * weight).sum(axis=(1, 2)) / weight.sum()
        cos, sin = math.cos(math.radians(changes.rotation)), math.sin(math.radians(changes.rotation))
        right, down = -25 * cos + 17 * sin, 25 * sin + 17 * cos
        assert found_x == pytest.approx(side / 2 + right * side / (changes.width * columns), abs=0.5)
        assert found_y == pytest.approx(side / 2 + down * side / (changes.height * rows), abs=0.5)


def test_around_the_frame_is_its_border_not_black() -> None:
    bright = np.full((128, 128), 0.5, dtype=np.float32)
    for number, changes in enumerate(DRAWS[:50], start=1):
        image = augmented(bright, 64, number, "1.2.840.1")
        np.testing.assert_allclose(image, 0.5 * changes.brightness, atol=1e-5)
