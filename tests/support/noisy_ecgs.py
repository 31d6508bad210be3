"""Real ECGs with real noise: artefacts of one record, added to another, in two halves that share no record.

The noise of a lead is what is left of it without its mean beat. It is added per electrode: that of a chest
electrode to one lead, that of the left arm or leg to limb leads in the shares of Einthoven and Goldberger.
The ratio of signal to noise follows the noise stress test of MIT-BIH: a sine of the beat's height against the
noise, in decibels (Moody, Muldrow and Mark 1984, `nst` of the WFDB tools).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import wfdb
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

from stence.ecg import LEADS, Recording, read
from stence.ecg.analysis import analyse

SAMPLES, RATE = 5000, 500.0
SEED = 0
WANDER_HZ = 0.5
"""Below it lie wander and offsets, which have limits of their own and are subtracted before a model looks."""
Half = int
"""0: the half on which limits were chosen. 1: the half on which they are tested."""

_ELECTRODES = {"LA": (1, 0, -1, -0.5, 1, -0.5), "LL": (0, 1, 1, -0.5, -0.5, 1)}
_SOURCES: Mapping[Half, tuple[tuple[str, tuple[str, ...], bool], ...]] = {
    0: (
        ("findings/ecg/gate-misses/1105115", LEADS, False),
        ("data/set_a/1609343", ("V1",), False),
        ("data/set_a/1149244", ("V1", "V2", "V3"), False),
        ("findings/ecg/one-bad-lead-rate/2705121", ("V3",), False),
        ("data/cinc2021/JS17272", ("II", "III", "aVF"), True),
        ("findings/ecg/contradicting-leads/JS20001", ("I", "V4"), True),
    ),
    1: (
        ("findings/ecg/gate-misses/1532215", LEADS, False),
        ("data/set_a/1052879", ("V1",), False),
        ("data/set_a/1610034", LEADS, False),
        ("findings/ecg/one-bad-lead-rate/2729748", ("V3",), False),
        ("data/set_a/1553541", LEADS, False),
        ("data/cinc2021/JS30970", ("I",), True),
        ("data/cinc2021/JS13888", ("III",), True),
    ),
}
"""Records, leads with artefacts, and True for muscle noise, of which only what lies above 15 Hz is taken."""
_SET_A_ORDER = [0, 1, 2, 3, 5, 4, *range(6, 12)]


class Noisy(NamedTuple):
    """An ECG with noise in some leads, and the ratio of signal to noise (12,) in decibels."""

    name: str
    recording: Recording
    decibels: NDArray[np.float64]


@cache
def set_a(shared: Path) -> dict[str, tuple[Recording, str]]:
    """PhysioNet/CinC Challenge 2011: recordings and the experts' word on them, by name."""
    with (shared / "data/set_a/labels.csv").open() as labels:
        return {
            row["record"]: (_set_a(shared, row["record"]), row["quality"]) for row in csv.DictReader(labels)
        }


def _set_a(shared: Path, name: str) -> Recording:
    samples = np.loadtxt(shared / f"data/set_a/{name}.txt", delimiter=",", dtype=np.float32)
    return Recording(np.ascontiguousarray(samples[:, 1:].T[_SET_A_ORDER] / 1000), RATE)


@cache
def sound(shared: Path, half: Half) -> tuple[tuple[str, Recording], ...]:
    """Every second good ECG of LUDB, CinC 2021 and set-a, ten seconds at 500 Hz."""
    populations = (_ludb(shared), _cinc(shared), _good_set_a(shared))
    return tuple(ecg for population in populations for ecg in list(population)[half::2])


def _ludb(shared: Path) -> Iterator[tuple[str, Recording]]:
    """LUDB in the recorder's own steps, which obey Einthoven, scaled so that the median lead spans 1 mV."""
    for header in sorted((shared / "data/ludb").glob("*.hea")):
        steps = wfdb.rdrecord(str(header.with_suffix("")), physical=False).d_signal.T.astype(np.float32)
        yield f"ludb {header.stem}", Recording(steps / np.median(np.ptp(steps, axis=1)), RATE)


def _cinc(shared: Path) -> Iterator[tuple[str, Recording]]:
    for header in sorted((shared / "data/cinc2021").glob("*.hea")):
        signal = read(header).signal
        if signal.shape[1] >= SAMPLES:
            yield f"cinc {header.stem}", Recording(np.ascontiguousarray(signal[:, :SAMPLES]), RATE)


def _good_set_a(shared: Path) -> Iterator[tuple[str, Recording]]:
    for name, (recording, quality) in set_a(shared).items():
        if quality == "acceptable":
            yield f"set-a {name}", recording
    for case in ("isoelectric-lead", "reversal-false", "reversal-true"):
        for header in sorted((shared / "findings/ecg" / case).glob("*.hea")):
            yield f"set-a {header.stem}", read(header)


@cache
def clips(shared: Path, half: Half, above: float) -> tuple[NDArray[np.float32], ...]:
    """Noise of single leads (5000,) above so many Hz, each with a standard deviation of 1."""
    found = []
    for path, leads, muscle in _SOURCES[half]:
        for lead in leads:
            left = _without_beats(_source(shared, path), LEADS.index(lead))
            noise = _muscle(left) if muscle else _high(left, above)
            if noise.std() > 0:
                found.append((noise / noise.std()).astype(np.float32))
    return tuple(found)


def _source(shared: Path, path: str) -> Recording:
    return _set_a(shared, Path(path).name) if "set_a" in path else read(shared / f"{path}.hea")


def _without_beats(recording: Recording, lead: int) -> NDArray[np.float32]:
    """The first ten seconds of a lead minus its median beat, which fades at its ends."""
    values = recording.signal[lead, :SAMPLES] - np.median(recording.signal[lead])
    beats = analyse(recording).beats
    firsts = np.round(beats.middles * recording.sampling_rate / beats.rate).astype(int) - 100
    firsts = firsts[(firsts >= 0) & (firsts + 300 <= SAMPLES)]
    if len(firsts) >= 5:
        parts = np.stack([values[first : first + 300] for first in firsts])
        beat = np.median(parts - np.median(parts, axis=1, keepdims=True), axis=0) * np.hanning(300) ** 0.25
        for first in firsts:
            values[first : first + 300] -= beat
    return values


def _muscle(values: NDArray[np.float32]) -> NDArray[np.float32]:
    high = _high(values, 15)
    return np.clip(high, -4 * high.std(), 4 * high.std())


def _high(values: NDArray[np.float32], above: float) -> NDArray[np.float32]:
    """What lies above so many Hz; above 0, everything but the mean."""
    if not above:
        return values - values.mean()
    return sosfiltfilt(butter(2, above, "high", fs=RATE, output="sos"), values)


def noisy(shared: Path, half: Half, decibels: float, above: float = WANDER_HZ) -> Iterator[Noisy]:
    """Each sound ECG of the half three times: noise in a chest electrode, in a limb electrode, in all.

    The decibels are those of the noise above so many Hz, and no other is added; 0: of all there is.
    """
    rng = np.random.default_rng(SEED)
    for name, recording in sound(shared, half):
        height = _height(recording.signal)
        for kind in ("chest", "limb", "all"):
            noise = _noise(rng, kind, height, clips(shared, half, above)) * 10 ** (-decibels / 20)
            size = np.maximum(noise.std(axis=1), 1e-9)
            ratio = 20 * np.log10(height / np.sqrt(8) / size)
            yield Noisy(f"{name} {kind}", Recording(recording.signal + noise, RATE), ratio)


def _height(signal: NDArray[np.float32]) -> NDArray[np.float64]:
    """Usual range (12,) of a second, which holds a beat."""
    starts = range(0, SAMPLES - 499, 500)
    return np.median([np.ptp(signal[:, start : start + 500], axis=1) for start in starts], axis=0)


def _noise(
    rng: np.random.Generator, kind: str, height: NDArray[np.float64], pool: tuple[NDArray[np.float32], ...]
) -> NDArray[np.float32]:
    """Noise (12, 5000) at 0 dB."""

    def clip() -> NDArray[np.float32]:
        turned = rng.choice([-1, 1]) * np.roll(pool[rng.integers(len(pool))], rng.integers(SAMPLES))
        return turned / np.sqrt(8)

    noise = np.zeros((len(LEADS), SAMPLES), dtype=np.float32)
    limbs = [rng.choice(list(_ELECTRODES))] if kind == "limb" else list(_ELECTRODES) if kind == "all" else []
    chest = [rng.integers(6, 12)] if kind == "chest" else range(6, 12) if kind == "all" else []
    for electrode in limbs:
        noise[:6] += np.outer(_ELECTRODES[electrode], clip() * np.median(height[:3]))
    for lead in chest:
        noise[lead] = clip() * height[lead]
    return noise


def exchanged_arms(recording: Recording) -> Recording:
    """The same as if the arm electrodes were exchanged."""
    signal = recording.signal[[0, 2, 1, 4, 3, *range(5, 12)]]
    signal[0] *= -1
    return Recording(signal, recording.sampling_rate)
