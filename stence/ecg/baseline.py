"""Baseline wander by asymmetric least squares (Eilers & Boelens 2005), solved as a banded system.

The baseline z of a signal y minimises sum w (y - z)^2 + ``SMOOTHNESS`` * sum (second difference of z)^2,
with w = ``ASYMMETRY`` where y lies above z and 1 - ``ASYMMETRY`` elsewhere. Each re-weighting gives a
symmetric positive definite pentadiagonal system. The solver factorises this system as L D L^T in float64
(Golub & Van Loan, section 4.3), for ``LANES`` signals at once with vector instructions.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stence.ecg.compiled import compiled

SMOOTHNESS = 1e7
ASYMMETRY = 0.3
REWEIGHTINGS = 5

LANES = 40
"""Number of signals solved at once. It hides the latency of divisions, and holds the 36 leads of an ECG's
three windows."""
GUARD = 2
"""Rows of zeros before the first sample and after the last sample. They avoid special cases at both ends."""
ALIGNMENT = 64
"""Bytes of a cache line. A vector that crosses two lines is loaded and stored at half the speed."""

# The workspace holds four rows of LANES numbers per sample: the signal, the baseline (before that the right
# side of the system), and the two bands of L. Indices are flat and unsigned. The compiler then sees that rows
# do not overlap, and vectorises the loops.
WIDTH = np.uintp(LANES)
SIGNAL, BASELINE, BAND_1, BAND_2 = (np.uintp(row * LANES) for row in range(4))
STEP = np.uintp(4 * LANES)


def subtract_baseline(signals: NDArray[np.float32]) -> None:
    """Subtract the baseline of each row of contiguous float32 ``signals`` (rows, n), in place."""
    diagonal, neighbour = _guarded_bands(signals.shape[1])
    _subtract(signals, diagonal, neighbour, _aligned(len(diagonal) * int(STEP)))


def second_difference_bands(n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return main diagonal (n,) and first off-diagonal (n,; last 0) of D^T D.

    D is the matrix of second differences. The second off-diagonal of D^T D is all 1.
    """
    diagonal, neighbour = np.zeros(n), np.zeros(n)
    for weight, first in ((1, 0), (4, 1), (1, 2)):
        diagonal[first : max(n - 2 + first, first)] += weight
    for first in (0, 1):
        neighbour[first : max(n - 2 + first, first)] -= 2
    return diagonal, neighbour


@lru_cache(maxsize=8)
def _guarded_bands(n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    diagonal, neighbour = second_difference_bands(n)
    return np.pad(diagonal, GUARD), np.pad(neighbour, GUARD)


def _aligned(size: int) -> NDArray[np.float64]:
    room = np.empty(size + ALIGNMENT // 8)
    start = -room.ctypes.data % ALIGNMENT // 8
    return room[start : start + size]


@compiled
def _subtract(
    signals: NDArray[np.float32],
    diagonal: NDArray[np.float64],
    neighbour: NDArray[np.float64],
    workspace: NDArray[np.float64],
) -> None:
    for first in range(0, len(signals), LANES):
        block = signals[first : first + LANES]
        _load(block, workspace)
        _eliminate(workspace, diagonal, neighbour, 1.0, 1.0)
        _substitute(workspace, len(diagonal))
        for _ in range(1, REWEIGHTINGS):
            _eliminate(workspace, diagonal, neighbour, ASYMMETRY, 1 - ASYMMETRY)
            _substitute(workspace, len(diagonal))
        _subtract_block(block, workspace)


@compiled
def _load(block: NDArray[np.float32], workspace: NDArray[np.float64]) -> None:
    rows = workspace.reshape(-1, 4, LANES)
    rows[:GUARD] = 0
    rows[-GUARD:] = 0
    for i in range(block.shape[1]):
        rows[i + GUARD, :2] = 0
        for lane in range(len(block)):
            rows[i + GUARD, 0, lane] = block[lane, i]


@compiled
def _eliminate(
    workspace: NDArray[np.float64],
    diagonal: NDArray[np.float64],
    neighbour: NDArray[np.float64],
    above: float,
    below: float,
) -> None:
    """Factorise the system, divided by the smoothness, and solve with L and D.

    ``above`` and ``below`` are the weights of samples above and below the present baseline.
    """
    for i in range(GUARD, len(diagonal) - GUARD):
        row = np.uintp(i) * STEP
        for lane in range(WIDTH):
            here = row + lane
            once, twice = here - STEP, here - STEP - STEP
            signal = workspace[here + SIGNAL]
            weight = (above if signal > workspace[here + BASELINE] else below) / SMOOTHNESS
            before = neighbour[i - 1] - workspace[twice + BAND_1]
            pivot = diagonal[i] + weight - before * workspace[once + BAND_1] - workspace[twice + BAND_2]
            right = weight * signal - before * workspace[once + BASELINE] - workspace[twice + BASELINE]
            inverse = 1 / pivot
            workspace[here + BASELINE] = right * inverse
            workspace[here + BAND_1] = (neighbour[i] - workspace[once + BAND_1]) * inverse
            workspace[here + BAND_2] = inverse


@compiled
def _substitute(workspace: NDArray[np.float64], rows: int) -> None:
    """Solve with L^T, from the last sample to the first sample."""
    for i in range(rows - GUARD - 1, GUARD - 1, -1):
        row = np.uintp(i) * STEP
        for lane in range(WIDTH):
            here = row + lane
            once, twice = here + STEP, here + STEP + STEP
            workspace[here + BASELINE] -= (
                workspace[here + BAND_1] * workspace[once + BASELINE]
                + workspace[here + BAND_2] * workspace[twice + BASELINE]
            )


@compiled
def _subtract_block(block: NDArray[np.float32], workspace: NDArray[np.float64]) -> None:
    rows = workspace.reshape(-1, 4, LANES)
    for i in range(block.shape[1]):
        for lane in range(len(block)):
            block[lane, i] = rows[i + GUARD, 0, lane] - rows[i + GUARD, 1, lane]
