"""Measure the contrast-filled vessel in each frame of a run; the key frame has the maximum."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter

from stence.angiography.reasons import Reason, refuse

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

SIDE = 256
"""Frames are binned to at most this side; a coronary artery is then two to seven pixels wide."""
SIGMA = 1.5
"""Pixels; half the width of the thinner vessels. Wider vessels are found at half the size."""
_MARGIN = 7
"""Excluded pixels at the collimator's edge, where the filter responds as to a vessel."""
_BLACK = 0.12
"""Maximum brightness of the collimator's shutter, as a share of the brightest."""
_MIN_FIELD = 0.05
"""Minimum exposed share of the frame."""
_BACKGROUND = 0.97
"""Share of the field without vessels, in the frames with the least contrast agent."""
_NOISE = 4.0
"""Noise threshold in upper quartiles of a frame: noise alone exceeds it in one pixel of a hundred."""


def opacification(frames: Iterable[Image]) -> NDArray[np.float32]:
    """Return contrast-filled vessel as a share of the field of view, per frame (frames,).

    ``frames`` are (rows, columns) of 0..1 with vessels dark, read one by one. A pixel counts as vessel if its
    ridge response exceeds that of the run's emptiest frames and the frame's own noise; its weight is the
    response. Static structures (ribs, spine, the catheter) add the same to every frame, so the curve's
    maximum is the contrast agent's. Raises UnusableAngiogramError if nothing is exposed.
    """
    responses, brightness, total = [], [], np.zeros((), dtype=np.float32)
    for frame in frames:
        small = _shrunk(frame)
        responses.append(ridges(small))
        brightness.append(small.mean())
        total = total + small
    inside = _field_of_view(total / np.float32(len(responses)))
    if inside.mean() < _MIN_FIELD:
        raise refuse(Reason.BLANK, "the frames show no exposed field of view")
    seen = np.stack([response[inside] for response in responses])
    return _share_of_vessel(seen, np.array(brightness, dtype=np.float32))


def ridges(image: Image) -> Image:
    """Compute the response to dark ridges (rows, columns) at two scales; 0 means no ridge.

    It uses the Hessian's eigenvalues as in Sato et al. (Med. Image Anal. 1998;2:143): the curvature across a
    ridge minus the curvature along it, so that blobs do not count.
    """
    fine = _ridges(image)
    coarse = _ridges(_binned(image, 2)).repeat(2, axis=0).repeat(2, axis=1)
    rows, columns = coarse.shape
    np.maximum(fine[:rows, :columns], coarse, out=fine[:rows, :columns])
    return fine


def _ridges(image: Image) -> Image:
    """Compute the ridge response at the scale SIGMA."""
    smooth = np.pad(gaussian_filter(image, SIGMA, truncate=2.5, mode="nearest"), 1, mode="edge")
    twice = 2 * smooth[1:-1, 1:-1]
    down = smooth[2:, 1:-1] + smooth[:-2, 1:-1] - twice
    across = smooth[1:-1, 2:] + smooth[1:-1, :-2] - twice
    mixed = (smooth[2:, 2:] - smooth[2:, :-2] - smooth[:-2, 2:] + smooth[:-2, :-2]) / 4
    mean = (down + across) / 2
    spread = np.sqrt(((down - across) / 2) ** 2 + mixed**2)
    # The eigenvalues are mean +- spread; this is the larger minus the magnitude of the smaller.
    return np.maximum(2 * np.minimum(mean, spread), 0)


def _share_of_vessel(seen: Image, brightness: Image) -> NDArray[np.float32]:
    """Compute the share from responses (frames, pixels) in the field and mean grey values (frames,)."""
    usual = brightness.mean()
    seen /= np.maximum(brightness, usual / 2)[:, None]
    noise, strongest = np.quantile(seen[:, ::4], [0.75, _BACKGROUND], axis=1)
    exposed = brightness >= usual / 2
    empty = np.quantile(strongest[exposed], 0.1)
    threshold = np.maximum(empty, _NOISE * noise)
    seen[seen <= threshold[:, None]] = 0
    return seen.mean(axis=1) / np.float32(empty or 1)


def _field_of_view(mean: Image) -> Mask:
    """Mask of the area exposed by the collimator, without its edge, from the run's mean frame.

    Black counts as shutter only where a square fits in, so vessels and catheter stay in the mask.
    """
    black = np.pad(mean <= _BLACK * np.quantile(mean, 0.99), _MARGIN + 1, constant_values=True)
    shutter = maximum_filter(minimum_filter(black, _MARGIN), 3 * _MARGIN)  # opened, then dilated
    return ~shutter[_MARGIN + 1 : -_MARGIN - 1, _MARGIN + 1 : -_MARGIN - 1]


def _shrunk(frame: Image) -> Image:
    return _binned(frame, -(-max(frame.shape) // SIDE))


def _binned(image: Image, size: int) -> Image:
    """Return means of ``size`` x ``size`` pixels; remaining rows and columns are dropped."""
    rows, columns = image.shape[0] // size * size, image.shape[1] // size * size
    if size == 1:
        return image
    tall = np.add.reduce([image[start:rows:size, :columns] for start in range(size)])
    return np.add.reduce([tall[:, start::size] for start in range(size)]) / np.float32(size * size)
