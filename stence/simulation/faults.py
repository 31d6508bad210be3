"""Faults injected into simulated ECGs, as in a real archive, with the expected outcome of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from stence.simulation.files import INVALID, Ecg

SHARE = 0.03
"""Share of recordings with a fault."""
NO_SIGNAL_FILE = "signal file missing"
Counts = NDArray[np.int16]
Files = dict[str, bytes]


def _flat_lead(rng: np.random.Generator, counts: Counts) -> Counts:
    counts[rng.integers(6, 12)] = counts[0, 0]
    return counts


def _lead_off(rng: np.random.Generator, counts: Counts) -> Counts:
    """A chest electrode falls off: from then on the lead stays at the amplifier's limit."""
    counts[rng.integers(6, 12), rng.integers(counts.shape[1] // 2) :] = 32767
    return counts


def _zeros(rng: np.random.Generator, counts: Counts) -> Counts:
    return np.zeros_like(counts)


def _few_leads(rng: np.random.Generator, counts: Counts) -> Counts:
    return counts[:3]


def _too_short(rng: np.random.Generator, counts: Counts) -> Counts:
    return counts[:, : counts.shape[1] // 5]


def _invalid_stretch(rng: np.random.Generator, counts: Counts) -> Counts:
    """Samples that the machine could not record have a special code."""
    half = counts.shape[1] // 2
    start = rng.integers(half)
    counts[rng.choice(12, 4, replace=False), start : start + half] = INVALID
    return counts


def _saturated(rng: np.random.Generator, counts: Counts) -> Counts:
    """The gain is far too high, so the signal saturates."""
    middle = np.median(counts, axis=1, keepdims=True)
    return np.clip((counts - middle) * 400, -32767, 32767).astype(np.int16)


def _limb_leads_swapped(rng: np.random.Generator, counts: Counts) -> Counts:
    """Left and right arm are swapped: I inverted, II with III, aVR with aVL (about each lead's median)."""
    middle = np.median(counts[0]).astype(np.int16)
    swapped = counts[[0, 2, 1, 4, 3, 5, 6, 7, 8, 9, 10, 11]]
    swapped[0] = 2 * middle - swapped[0]
    return swapped


def _truncated(rng: np.random.Generator, files: Files) -> Files:
    name = max(files, key=lambda name: len(files[name]))
    return files | {name: files[name][: len(files[name]) // int(rng.integers(2, 6))]}


def _no_signal_file(rng: np.random.Generator, files: Files) -> Files:
    return {name: content for name, content in files.items() if not name.endswith(".dat")}


def _garbage_header(rng: np.random.Generator, files: Files) -> Files:
    return {
        name: content if name.endswith(".dat") else rng.bytes(200) + content[200:]
        for name, content in files.items()
    }


def _wrong_unit(rng: np.random.Generator, files: Files) -> Files:
    return {name: content.replace(b"/mV", b"/mmHg").replace(b"uV", b"Pa") for name, content in files.items()}


def _text_as_dicom(rng: np.random.Generator, files: Files) -> Files:
    return {_stem(files) + ".dcm": b"Export failed: the ECG is not in the archive any more.\n"}


def _unsupported(rng: np.random.Generator, files: Files) -> Files:
    return {_stem(files) + ".xml": b'<?xml version="1.0"?>\n<Report><Note>paper only</Note></Report>\n'}


def _stem(files: Files) -> str:
    return next(iter(files)).split(".")[0]


SIGNAL_FAULTS: MappingProxyType[str, Callable[[np.random.Generator, Counts], Counts]] = MappingProxyType(
    {
        "flat lead": _flat_lead,
        "lead off": _lead_off,
        "all zeros": _zeros,
        "too few leads": _few_leads,
        "too short": _too_short,
        "invalid samples": _invalid_stretch,
        "saturated": _saturated,
        "limb leads swapped": _limb_leads_swapped,
    }
)
FILE_FAULTS: MappingProxyType[str, Callable[[np.random.Generator, Files], Files]] = MappingProxyType(
    {
        "truncated": _truncated,
        NO_SIGNAL_FILE: _no_signal_file,
        "garbage": _garbage_header,
        "wrong unit": _wrong_unit,
        "text named .dcm": _text_as_dicom,
        "unsupported format": _unsupported,
    }
)
RATES = MappingProxyType({"1000 Hz": 1000, "250 Hz": 250})
SENT_AGAIN, WRONG_PATIENT = "sent again", "under another patient"
EXPECTED = MappingProxyType(
    {
        **dict.fromkeys((*SIGNAL_FAULTS, *FILE_FAULTS), "quarantined"),
        "limb leads swapped": "warned",
        **dict.fromkeys(RATES, "scored"),
        SENT_AGAIN: "scored once",
        WRONG_PATIENT: "conflict",
    }
)
"""Every fault, and the expected outcome for the recording."""


def draw_fault(rng: np.random.Generator, file_format: str) -> str | None:
    """Draw the recording's fault, all with equal probability; None for most. DICOM has no signal file."""
    possible = [fault for fault in EXPECTED if file_format == "wfdb" or fault != NO_SIGNAL_FILE]
    return str(rng.choice(possible)) if rng.random() < SHARE else None


def spoil_signal(rng: np.random.Generator, ecg: Ecg, fault: str | None) -> Ecg:
    """Apply the fault to the recording's signal, if it is a signal fault."""
    spoil = SIGNAL_FAULTS.get(fault or "")
    return replace(ecg, counts=spoil(rng, ecg.counts.copy())) if spoil else ecg


def spoil_files(rng: np.random.Generator, files: Files, fault: str | None) -> Files:
    """Apply the fault to the files, if it is a file fault; at least one file is left."""
    spoil = FILE_FAULTS.get(fault or "")
    return spoil(rng, files) if spoil else files
