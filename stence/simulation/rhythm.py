"""Simulate the heart rhythm: sinus rhythm with its variability, ectopic beats, atrial fibrillation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

_MARGIN = 2.5
"""Seconds of beats before and after the recording, so that every sample has a beat on both sides."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Beats of one recording, in seconds from its first sample; arrays (beats,) unless stated otherwise."""

    heart_rate: float
    r_peaks: NDArray[np.float32]
    preceding_rr: NDArray[np.float32]
    has_p: NDArray[np.bool_]
    ventricular: NDArray[np.bool_]
    ectopic_turn: NDArray[np.float64]
    breathing_hz: float
    breathing_depth: NDArray[np.float32]
    fibrillating: bool
    atrial_dipole: NDArray[np.float32]

    def fibrillation(self, time: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the f waves (3, n): near 6 Hz, slowly varying in rate and amplitude; 0 in sinus rhythm."""
        if not self.fibrillating:
            return np.zeros((3, 1), dtype=np.float32)
        swing = np.sin(2 * np.pi * 0.31 * time)
        wave = (1 + 0.4 * swing) * np.sin(2 * np.pi * 6.1 * time + 1.7 * swing)
        return self.atrial_dipole[:, None] * wave


def draw_rhythm(rng: np.random.Generator, seconds: float, resting_rate: float, age: float) -> Rhythm:
    """Draw one recording's rhythm; fibrillation and ectopic beats are more frequent at higher age."""
    older = np.exp(0.5 * (age - 63) / 10)
    fibrillating = bool(rng.random() < 0.025 * older)
    rate = float(np.clip(resting_rate + rng.normal(0, 5) + 15 * fibrillating, 42, 150))
    breathing_hz = float(rng.uniform(0.18, 0.33))
    count = int((seconds + 2 * _MARGIN) * rate / 60 * 1.4) + 8
    rr = _irregular(rng, count, rate) if fibrillating else _sinus(rng, count, rate, breathing_hz, age)
    ventricular = np.zeros(count, dtype=bool)
    early = np.zeros(count, dtype=bool)
    if rng.random() < 0.05 * older:
        ventricular = rng.random(count) < rng.uniform(0.03, 0.15)
    if not fibrillating and rng.random() < 0.04 * older:
        early = rng.random(count) < 0.08
    _place_ectopics(rr, ventricular, early)
    peaks = np.cumsum(rr) - _MARGIN
    return Rhythm(
        heart_rate=rate,
        r_peaks=peaks.astype(np.float32),
        preceding_rr=rr.astype(np.float32),
        has_p=~ventricular & (not fibrillating),
        ventricular=ventricular,
        ectopic_turn=Rotation.random(rng=rng).as_matrix(),
        breathing_hz=breathing_hz,
        breathing_depth=rng.normal(0, 0.03, 3).astype(np.float32),
        fibrillating=fibrillating,
        atrial_dipole=rng.normal([0.01, 0.04, -0.06], 0.015).astype(np.float32),
    )


def _sinus(
    rng: np.random.Generator, count: int, rate: float, breathing_hz: float, age: float
) -> NDArray[np.float64]:
    """Draw RR intervals with 0.1 Hz and respiratory variability (Task Force 1996), less with age and rate."""
    mean = 60 / rate
    spread = 0.028 * mean**1.5 * np.exp(-0.012 * (age - 63) + rng.normal(0, 0.45))
    slow, breath = rng.uniform(0, 2 * np.pi, 2)
    time = mean * np.arange(count)
    swing = np.sin(2 * np.pi * 0.1 * time + slow) + np.sin(2 * np.pi * breathing_hz * time + breath)
    return mean + spread * (0.9 * swing + 0.3 * rng.standard_normal(count))


def _irregular(rng: np.random.Generator, count: int, rate: float) -> NDArray[np.float64]:
    """Draw RR intervals of fibrillation: independent, skewed, not below the AV node's refractory period."""
    return np.maximum(60 / rate * np.exp(rng.normal(-0.02, 0.2, count)), 0.32)


def _place_ectopics(
    rr: NDArray[np.float64], ventricular: NDArray[np.bool_], early: NDArray[np.bool_]
) -> None:
    """Move ectopic beats forward, in place; the pause after a ventricular beat is compensatory."""
    ventricular[1:] &= ~ventricular[:-1]
    early &= ~ventricular
    lead = np.where(ventricular, 0.35, np.where(early, 0.25, 0.0)) * rr
    rr -= lead
    rr[1:] += np.where(ventricular[:-1], 1.0, 0.4) * lead[:-1]
