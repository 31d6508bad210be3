"""Faults injected into simulated angiograms, with the expected reason of the refusal."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import numpy as np
from pydicom.dataset import FileDataset
from pydicom.uid import XRayRadiofluoroscopicImageStorage

from stence.simulation.angiogram_files import content_of, set_frames
from stence.simulation.angiograms import Run
from stence.simulation.patients import subject_id

SHARE = 0.02
"""Share of runs with a fault."""
_TRUNCATED = "truncated"


def _no_angles(file: FileDataset, run: Run, number: int) -> None:
    del file.PositionerPrimaryAngle, file.PositionerSecondaryAngle


def _fluoroscopy(file: FileDataset, run: Run, number: int) -> None:
    file.Modality = "RF"
    file.SOPClassUID = file.file_meta.MediaStorageSOPClassUID = XRayRadiofluoroscopicImageStorage


def _single_still(file: FileDataset, run: Run, number: int) -> None:
    del file.FrameTime, file.FrameIncrementPointer
    set_frames(file, run.frames[len(run.frames) // 2][None])


def _other_patient(file: FileDataset, run: Run, number: int) -> None:
    """Name the patient admitted before, under this study's accession number."""
    file.PatientID = str(subject_id(number - 1))


_SPOIL: MappingProxyType[str, Callable[[FileDataset, Run, int], None]] = MappingProxyType(
    {
        "angles missing": _no_angles,
        "fluoroscopy": _fluoroscopy,
        "single still": _single_still,
        "wrong patient": _other_patient,
    }
)
REASONS = MappingProxyType(
    {
        _TRUNCATED: "truncated",
        "angles missing": "angles_missing",
        "fluoroscopy": "not_xa",
        "single still": "not_a_run",
        "wrong patient": "patient_mismatch",
    }
)
"""Every fault, and the expected reason in quarantine."""


def draw_fault(rng: np.random.Generator) -> str | None:
    """Draw the run's fault, all with equal probability; None for most runs."""
    return str(rng.choice(list(REASONS))) if rng.random() < SHARE else None


def spoilt(rng: np.random.Generator, file: FileDataset, run: Run, number: int, fault: str | None) -> bytes:
    """Return the file's bytes with the fault; ``number`` is the patient's."""
    spoil = _SPOIL.get(fault or "")
    if spoil is not None:
        spoil(file, run, number)
    content = content_of(file)
    return content[: int(len(content) * rng.uniform(0.3, 0.8))] if fault == _TRUNCATED else content
