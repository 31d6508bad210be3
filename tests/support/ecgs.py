"""Small plausible ECGs, written as WFDB records."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stence.ecg import LEADS
from stence.objects import ObjectStore

SAMPLING_RATE = 500


def heartbeats(seed: int, seconds: float = 10.0, rate: float = SAMPLING_RATE) -> NDArray[np.int16]:
    """A (12, n) signal in microvolts with P, QRS and T waves, unlike that of any other seed."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    phase = (time * random.uniform(0.9, 1.6) + random.uniform()) % 1.0
    waves = [
        (0.2, 0.02, 120.0),
        (0.36, 0.010, -80.0),
        (0.38, 0.012, 1000.0),
        (0.40, 0.01, -200.0),
        (0.65, 0.05, 250.0),
    ]
    shapes = np.stack([np.exp(-0.5 * ((phase - at) / width) ** 2) * height for at, width, height in waves])
    mixture = random.uniform(0.4, 1.1, (8, len(waves)))
    independent = mixture @ shapes + random.normal(0, 8, (8, len(time)))
    one, two = independent[:2]
    limbs = [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2]
    return np.round(np.vstack([limbs, independent[2:]])).astype(np.int16)


def store_ecg(
    store: ObjectStore,
    key: str,
    signal: NDArray[np.int16],
    *,
    rate: float = SAMPLING_RATE,
    comments: tuple[str, ...] = (),
) -> None:
    """Write ``signal`` in microvolts as the record whose header is ``key`` (ending in .hea)."""
    name = key.rpartition("/")[2].removesuffix(".hea")
    lines = [f"{name} {len(signal)} {rate:g} {signal.shape[1]}"]
    for lead, samples in zip(LEADS, signal, strict=False):
        checksum = int(samples.sum(dtype=np.int64)) & 0xFFFF
        checksum -= 0x10000 if checksum > 0x7FFF else 0
        lines.append(f"{name}.dat 16 1000.0(0)/mV 16 0 {samples[0]} {checksum} 0 {lead}")
    store.put(key.removesuffix(".hea") + ".dat", signal.T.astype("<i2").tobytes())
    store.put(key, "\n".join([*lines, *(f"# {comment}" for comment in comments), ""]).encode())


def manifest(rows: list[tuple[str, str, str]]) -> bytes:
    """A record_list.csv of (patient, time, path)."""
    lines = ["subject_id,study_id,file_name,ecg_time,path"]
    lines += [f"{patient},{number},,{time},{path}" for number, (patient, time, path) in enumerate(rows)]
    return "\n".join([*lines, ""]).encode()
