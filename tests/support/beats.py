"""ECGs whose waves lie at known times."""

from __future__ import annotations

import numpy as np

from stence.ecg import Recording
from stence.ecg.delineation import Part

RATE = 500
WAVES = {Part.P: (-0.16, 0.022), Part.QRS: (0.0, 0.011), Part.ST_T: (0.28, 0.045)}
"""Centre and width (standard deviation) in seconds from the R peak."""
HEIGHTS = {Part.P: 0.15, Part.QRS: 1.2, Part.ST_T: 0.35}
R_PEAKS = [0.6 + 0.9 * number for number in range(10)]


def beats(r_peaks: list[float] = R_PEAKS, *, without: Part | None = None, seconds: float = 10.0) -> Recording:
    """Gaussian waves at the R peaks in every lead, with a little noise, of a woman of 70."""
    time = np.arange(round(seconds * RATE)) / RATE
    lead = sum(
        HEIGHTS[part] * np.exp(-0.5 * ((time - r - at) / width) ** 2)
        for r in r_peaks
        for part, (at, width) in WAVES.items()
        if part != without
    )
    leads = np.linspace(0.5, 1.0, 12)[:, None] * lead
    noise = np.random.default_rng(1).normal(0, 0.004, leads.shape)
    return Recording((leads + noise).astype(np.float32), sampling_rate=RATE, age=70.0, sex="F")
