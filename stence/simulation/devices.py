"""The electrocardiographs of two sites: names, filters and digitisation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt, sosfilt_zi

from stence.simulation.noise import Surroundings

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")


@dataclass(frozen=True, slots=True)
class Device:
    """An electrocardiograph: ``counts_per_mv``, ``baseline`` in counts, ``bandwidth`` and ``rate`` in Hz."""

    manufacturer: str
    model: str
    file_format: str
    counts_per_mv: int
    baseline: int
    bandwidth: float
    leads: tuple[str, ...]
    surroundings: Surroundings
    rate: int = 500

    def digitise(self, leads: NDArray[np.float32], rate: float) -> NDArray[np.int16]:
        """Digitise I, II, V1-V6 (8, n) in mV to counts (12, n) in the order of ``LEADS``.

        III, aVR, aVL and aVF are computed from the counts of I and II, as real machines do.
        """
        low_pass = _low_pass(min(self.bandwidth, 0.4 * rate), rate)
        settled = sosfilt_zi(low_pass)[:, None, :] * leads[:, :1]
        filtered, _ = sosfilt(low_pass, leads, axis=1, zi=settled)
        measured = np.rint(filtered * self.counts_per_mv).astype(np.int32)
        one, two = measured[:2]
        limb = [one, two, two - one, -(one + two) // 2, one - two // 2, two - one // 2]
        counts = np.vstack([np.stack(limb), measured[2:]]) + self.baseline
        return np.clip(counts, -32767, 32767).astype(np.int16)


@cache
def _low_pass(bandwidth: float, rate: float) -> NDArray[np.float64]:
    return np.asarray(butter(2, bandwidth, fs=rate, output="sos"))


_AVF_FIRST = ("I", "II", "III", "aVR", "aVF", "aVL", *LEADS[6:])
FILTERED_CART = Device(
    "Aurum Medical", "Cardio 1000", "wfdb", 1000, 0, 40.0, LEADS, Surroundings(0.025, 0.001, 0.004)
)
WARD_CART = Device(
    "Aurum Medical", "Cardio 200", "wfdb", 200, 64, 100.0, _AVF_FIRST, Surroundings(0.032, 0.002, 0.004)
)
CLINIC_CART = Device(
    "Fjord Instruments", "Rest 12", "dicom", 400, 0, 150.0, LEADS, Surroundings(0.025, 0.001, 0.003)
)
SITES = {
    "main building": {FILTERED_CART: 0.75, WARD_CART: 0.25},
    "outpatient clinic": {CLINIC_CART: 0.6, WARD_CART: 0.4},
}
"""Each site's machines and their shares of the site's ECGs."""
SITE_SHARES = {"main building": 0.7, "outpatient clinic": 0.3}
"""Each site's share of the patients."""


def draw_site(rng: np.random.Generator) -> str:
    """Draw a patient's site."""
    return str(rng.choice(list(SITE_SHARES), p=list(SITE_SHARES.values())))


def draw_device(rng: np.random.Generator, site: str) -> Device:
    """Draw a machine of the site."""
    devices, shares = zip(*SITES[site].items(), strict=True)
    return devices[int(rng.choice(len(devices), p=shares))]
