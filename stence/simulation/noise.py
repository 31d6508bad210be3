"""Electrode noise, added before the leads are formed: breathing, drift, mains, muscle, motion."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

# Electrodes RA, LA, LL, V1-V6 to leads I, II, V1-V6 (chest leads against Wilson's central terminal).
FROM_ELECTRODES = np.zeros((8, 9), dtype=np.float32)
FROM_ELECTRODES[0, [1, 0]] = 1, -1
FROM_ELECTRODES[1, [2, 0]] = 1, -1
FROM_ELECTRODES[2:, :3] = -1 / 3
FROM_ELECTRODES[2:, 3:] = np.eye(6)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Typical noise amplitudes in mV at one electrode, for the place of a machine."""

    wander: float
    mains: float
    muscle: float


def draw_noise(
    rng: np.random.Generator, where: Surroundings, breathing_hz: float, samples: int, rate: float
) -> NDArray[np.float32]:
    """Draw noise in the leads I, II, V1-V6 (8, samples) in mV."""
    time = np.arange(samples, dtype=np.float32) / np.float32(rate)
    wander, mains, muscle = np.array([where.wander, where.mains, where.muscle]) * np.exp(
        rng.normal(0, [0.5, 0.7, 0.5])
    )
    breath = np.sin(2 * np.pi * breathing_hz * time + rng.uniform(0, 2 * np.pi))
    hum = np.sin(2 * np.pi * rng.normal(50, 0.05) * time + rng.uniform(0, 2 * np.pi))
    knots, spline = _drift_basis(samples)
    noise = (wander * 0.35 * rng.standard_normal((9, knots))).astype(np.float32) @ spline
    noise += np.outer(wander * rng.standard_normal(9), breath).astype(np.float32)
    noise += np.outer(mains * rng.standard_normal(9), hum).astype(np.float32)
    tone = (muscle * np.exp(rng.normal(0, 0.3, (9, 1)))).astype(np.float32)
    noise += tone * rng.standard_normal((9, samples), dtype=np.float32)
    if rng.random() < 0.04:
        noise[rng.integers(9)] += _motion(rng, time)
    return FROM_ELECTRODES @ noise


def _motion(rng: np.random.Generator, time: NDArray[np.float32]) -> NDArray[np.float32]:
    """Draw a motion artefact (n,): a jump that fades over about half a second."""
    after = time - rng.uniform(0, time[-1])
    size, fade = rng.normal(0, 0.35), rng.uniform(0.2, 0.8)
    return np.where(after > 0, size * np.exp(-np.maximum(after, 0) / fade), 0).astype(np.float32)


@cache
def _drift_basis(samples: int) -> tuple[int, NDArray[np.float32]]:
    """Return cubic splines (knots, samples), knots 1/9 of the recording apart: drift below about 0.5 Hz."""
    knots = 10
    spline = CubicSpline(np.linspace(0, 1, knots), np.eye(knots))
    return knots, spline(np.linspace(0, 1, samples)).T.astype(np.float32)
