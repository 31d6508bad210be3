"""A small valid ECG of every format that stence reads, to mutate and to mix."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import pydicom
from pydicom.data import get_testdata_file

from stence.ecg import LEADS
from support import archives, edf, ishne, mfer, scp, xml_ecgs
from support.ecgs import heartbeats

DATA = Path(__file__).parents[1] / "data"


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


SECONDS = 4
MICROVOLTS = heartbeats(3, SECONDS)
"""A signal (12, n) at 500 Hz, which formats without a real file hold."""
BY_LEAD = dict(zip(LEADS, MICROVOLTS, strict=True))
MFER_CODES = [1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8]
STORED = {lead: samples for lead, samples in BY_LEAD.items() if lead in xml_ecgs.STORED}


def _muse() -> bytes:
    patient = "<PatientDemographics><PatientID>P1</PatientID></PatientDemographics>"
    return xml_ecgs.muse(xml_ecgs.muse_waveform(STORED), inside=patient)


def _scp() -> bytes:
    codes = [scp.CODES[lead] for lead in LEADS]
    written = scp.Scp(MICROVOLTS, codes, 1000, differences=2, tables=(scp.DEFAULT,), tags=[(2, b"P2\0")])
    return written.encoded()


def _mfer() -> bytes:
    signal = heartbeats(4, SECONDS).astype("<i2")
    return mfer.Mfer(signal, MFER_CODES, block=500, resolution=(0, -6, 1)).encoded()


def _edf() -> bytes:
    millivolts = zip(LEADS, heartbeats(6, SECONDS) / 1000, strict=True)
    return edf.edf([edf.channel(f"ECG {lead}", samples) for lead, samples in millivolts])


WRITERS: Mapping[str, Callable[[], Mapping[str, bytes]]] = {
    "WFDB": _wfdb,
    "DICOM": lambda: {"ecg.dcm": small_dicom(3500)},
    "MUSE": lambda: {"muse.xml": _muse()},
    "Sierra": lambda: {"sierra.xml": (DATA / "sierra" / "129DYPRG.xml").read_bytes()},
    "aECG": lambda: {"aecg.xml": (DATA / "aecg" / "example_aecg.xml").read_bytes()},
    "SCP": lambda: {"ecg.scp": _scp()},
    "MFER": lambda: {"ecg.mwf": _mfer()},
    "EDF": lambda: {"ecg.edf": _edf()},
    "ISHNE": lambda: {"holter.ecg": ishne.ishne(heartbeats(7, SECONDS).T, LEADS, resolution=1000)},
    "zip": lambda: {"wfdb.zip": archives.zipped(_wfdb())},
    "tar": lambda: {"muse.tar": archives.tarred({"muse.xml": _muse()})},
    "gzip": lambda: {"ecg.scp.gz": gzip.compress(_scp(), mtime=0)},
}
"""Samples that are written, or lie in ``tests/data``."""


@lru_cache(1)
def samples() -> tuple[Sample, ...]:
    """Return a sample of each format."""
    return tuple(Sample(name, write()) for name, write in WRITERS.items())
