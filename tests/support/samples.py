"""A small valid ECG of every format that stence reads, to mutate and to mix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import pydicom
from pydicom.data import get_testdata_file

DATA = Path(__file__).parents[1] / "data"
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


class Sample(NamedTuple):
    """The files of an ECG by name, the main file first."""

    format: str
    files: Mapping[str, bytes]

    @property
    def name(self) -> str:
        """Name of the main file."""
        return next(iter(self.files))


def small_dicom(samples: int = 100) -> bytes:
    """pydicom's example with few samples, no annotations and no private elements."""
    dataset = pydicom.dcmread(str(get_testdata_file("waveform_ecg.dcm")))
    dataset.remove_private_tags()
    del dataset.WaveformAnnotationSequence
    for group in dataset.WaveformSequence:
        group.NumberOfWaveformSamples = samples
        group.WaveformData = group.WaveformData[: 24 * samples]
    content = BytesIO()
    dataset.save_as(content)
    return content.getvalue()


def _wfdb() -> Mapping[str, bytes]:
    header, signal = (DATA / "wfdb" / f"00001_lr.{suffix}" for suffix in ("hea", "dat"))
    return {header.name: header.read_bytes() + b"# subject_id: 7\n", signal.name: signal.read_bytes()}


WRITERS: Mapping[str, Callable[[], Mapping[str, bytes]]] = {
    "WFDB": _wfdb,
    "DICOM": lambda: {"ecg.dcm": small_dicom(3500)},
}
"""Samples that are written, or lie in ``tests/data``."""
REAL: Mapping[str, str] = {}
"""Samples that may not be shipped, in ``../shared/data``."""


@lru_cache(1)
def samples() -> tuple[Sample, ...]:
    """Return a sample of each format; those of ``../shared`` only where it is."""
    shared = {name: SHARED / place for name, place in REAL.items() if (SHARED / place).is_file()}
    return (
        *(Sample(name, write()) for name, write in WRITERS.items()),
        *(Sample(name, {path.name: path.read_bytes()}) for name, path in shared.items()),
    )
