"""Read the header of an X-ray angiogram in DICOM (PS3.3 A.14, A.47), without its pixels."""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass
from datetime import datetime

from pydicom import uid
from pydicom.dataset import Dataset, FileDataset
from pydicom.tag import BaseTag

from stence.angiography.angles import c_arm_angles
from stence.angiography.reasons import Reason, UnusableAngiogramError, refuse
from stence.dicom import (
    MAX_VALUES_BYTES,
    PARTICULARS,
    TooManyElementsError,
    acquired_at,
    items,
    patient_number,
    read_elements,
    text,
    value,
)
from stence.domain.patients import PatientIdError, patient_id
from stence.errors import StenceError

MAX_HEAD_BYTES = 2 * 2**20
"""Maximum header size of an angiogram. The parsed objects of a hostile header may be 100 times larger."""
MAX_PIXELS_BYTES = 2 * 2**30
"""Uncompressed pixels of one run: more than a minute of 1024 x 1024 pixels of 16 bits at 15 frames/s."""
MAX_SIDE = 4096
MAX_FRAMES = 20_000
"""More than twenty minutes at 15 frames/s."""

_FIRST_PIXELS = 0x7FE00008
_BIPLANE = "1.2.840.10008.5.1.4.1.1.12.3"  # retired
_XA_CLASSES = (uid.XRayAngiographicImageStorage, uid.EnhancedXAImageStorage, _BIPLANE)
_SYNTAXES = frozenset(
    [
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
        uid.JPEGBaseline8Bit,
        uid.JPEGExtended12Bit,
        uid.JPEGLossless,
        uid.JPEGLosslessSV1,
        uid.JPEGLSLossless,
        uid.JPEGLSNearLossless,
        uid.JPEG2000Lossless,
        uid.JPEG2000,
        uid.RLELossless,
    ]
)
_ELSEWHERE = re.compile(r"SPINE|HEAD|SKULL|BRAIN|NECK|CAROTID|ABDOM|PELVI|RENAL|LEG|KNEE|FOOT|ARM|HAND|HIP")
_KEYWORDS = (
    *PARTICULARS,
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "AccessionNumber",
    "StudyID",
    "Modality",
    "BodyPartExamined",
    "FrameTime",
    "FrameTimeVector",
    "CineRate",
    "PositionerPrimaryAngle",
    "PositionerSecondaryAngle",
    "PositionerPrimaryAngleIncrement",
    "PositionerSecondaryAngleIncrement",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "BitsAllocated",
    "BurnedInAnnotation",
)
_SEQUENCES = (
    "BiPlaneAcquisitionSequence",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "PositionerPositionSequence",
)


class IncompleteHeaderError(StenceError):
    """The bytes end before the pixel data; more of the file is needed."""


@dataclass(frozen=True, slots=True)
class View:
    """Header data of one run. It holds no name, date of birth or other personal data."""

    sop_instance_uid: str
    study_instance_uid: str
    accession_number: str
    study_id: str
    patient_id: str
    """For pairing, never in an error message; empty if the file names no patient."""
    acquired_at: datetime | None
    """Without a time zone if the file has none."""
    primary_angle: float
    """Degrees; LAO positive."""
    secondary_angle: float
    """Degrees; cranial positive."""
    frames: int
    rows: int
    columns: int
    frame_seconds: float | None
    transfer_syntax: str
    states_no_text: bool
    """The file states that its pixels show no text that names patient and date (PS3.3 C.7.6.1.1)."""


def read_view(head: bytes, *, whole: bool = False) -> View:
    """Parse the beginning of a file, which must reach to the pixel data.

    Raises IncompleteHeaderError if it ends earlier, unless ``head`` is the ``whole`` file or has
    MAX_HEAD_BYTES. Raises UnusableAngiogramError if the file is broken or not a run of coronary angiography.
    """
    try:
        return _view(_parsed(head[:MAX_HEAD_BYTES], more=not whole and len(head) < MAX_HEAD_BYTES))
    except (UnusableAngiogramError, IncompleteHeaderError, MemoryError):
        raise
    except TooManyElementsError as error:
        raise refuse(Reason.IMPLAUSIBLE_SIZE, str(error)) from None
    except PatientIdError as error:
        raise refuse(Reason.UNREADABLE_PATIENT, str(error)) from None
    except Exception:  # pydicom raises any error on a hostile value; its text could quote the patient
        raise refuse(Reason.BROKEN_HEADER, "a value in the DICOM header cannot be read") from None


def _parsed(head: bytes, *, more: bool) -> FileDataset:
    """Parse the elements before the pixels; ``more``: the file may have more bytes to fetch."""
    if len(head) < 132 and more:
        raise IncompleteHeaderError("the bytes end within the DICOM preamble")
    if head[128:132] != b"DICM":
        raise refuse(Reason.NOT_DICOM, "the file does not carry the DICOM mark")
    if uid.DeflatedExplicitVRLittleEndian.encode() in head:  # a few kB could inflate without bound
        raise refuse(Reason.UNSUPPORTED_PIXELS, "DICOM in the deflated transfer syntax")
    try:
        dataset = _up_to_pixels(head)
    except (TooManyElementsError, PatientIdError, MemoryError):
        raise
    except Exception as error:  # see read_view; truncated bytes raise many kinds of errors
        if not more and not isinstance(error, (EOFError, struct.error)):
            raise refuse(Reason.BROKEN_HEADER, "the DICOM header cannot be parsed") from None
        dataset = None
    if dataset is not None:
        return dataset
    if more:
        raise IncompleteHeaderError("the bytes end before the pixel data")
    if len(head) == MAX_HEAD_BYTES:
        raise refuse(Reason.IMPLAUSIBLE_SIZE, f"the header goes on beyond {MAX_HEAD_BYTES >> 20} MiB")
    raise refuse(Reason.TRUNCATED, "the file ends before its pixel data, or has none")


def _up_to_pixels(head: bytes) -> FileDataset | None:
    """Parse up to the pixels; None if the bytes end before them."""
    last = 0

    def is_past_header(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        nonlocal last
        last = tag
        return tag >= _FIRST_PIXELS

    dataset = read_elements(head, _KEYWORDS, _SEQUENCES, is_past_header)
    return dataset if last >= _FIRST_PIXELS else None


def _view(dataset: FileDataset) -> View:
    syntax = _checked_kind(dataset)
    rows, columns = _whole(dataset, "Rows"), _whole(dataset, "Columns")
    frames = _checked_frames(dataset, rows, columns)
    primary, secondary = c_arm_angles(dataset, frames)
    return View(
        sop_instance_uid=_identifier(dataset, "SOPInstanceUID"),
        study_instance_uid=_identifier(dataset, "StudyInstanceUID"),
        accession_number=_study_number(dataset, "AccessionNumber"),
        study_id=_study_number(dataset, "StudyID"),
        patient_id=patient_number(dataset) or "",
        acquired_at=acquired_at(dataset),
        primary_angle=primary,
        secondary_angle=secondary,
        frames=frames,
        rows=rows,
        columns=columns,
        frame_seconds=_frame_seconds(dataset),
        transfer_syntax=syntax,
        states_no_text=text(dataset, "BurnedInAnnotation").upper() == "NO",
    )


def _checked_kind(dataset: FileDataset) -> str:
    """Check that the object is a coronary run that can be decoded. Return its transfer syntax."""
    if value(dataset, "SOPClassUID") not in _XA_CLASSES or text(dataset, "Modality") not in ("XA", ""):
        raise refuse(Reason.NOT_XA, "a DICOM file, but not an X-ray angiogram")
    if items(dataset, "BiPlaneAcquisitionSequence"):
        raise refuse(Reason.TWO_PLANES, "one object holds both planes of a biplane run")
    if _ELSEWHERE.search(text(dataset, "BodyPartExamined").upper()):
        raise refuse(Reason.NOT_CORONARY, "an angiogram of another part of the body")
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if syntax not in _SYNTAXES:
        raise refuse(Reason.UNSUPPORTED_PIXELS, "the pixels are in a transfer syntax that is not read")
    if _whole(dataset, "SamplesPerPixel") != 1:
        raise refuse(Reason.UNSUPPORTED_PIXELS, "the pixels are in colour")
    if text(dataset, "PhotometricInterpretation") not in ("MONOCHROME1", "MONOCHROME2"):
        raise refuse(Reason.UNSUPPORTED_PIXELS, "the pixels are not plain grey values")
    if _whole(dataset, "BitsAllocated") not in (8, 16):
        raise refuse(Reason.UNSUPPORTED_PIXELS, "a pixel is neither 8 nor 16 bits")
    return str(syntax)


def _checked_frames(dataset: FileDataset, rows: int, columns: int) -> int:
    """Return the number of frames, checked to be more than one and to fit in memory."""
    frames = int(value(dataset, "NumberOfFrames") or 1)
    if not (0 < rows <= MAX_SIDE and 0 < columns <= MAX_SIDE and 0 < frames <= MAX_FRAMES):
        raise refuse(Reason.IMPLAUSIBLE_SIZE, f"{frames} frames of {rows} x {columns} pixels")
    size = frames * rows * columns * _whole(dataset, "BitsAllocated") // 8
    if size > MAX_PIXELS_BYTES:
        raise refuse(Reason.IMPLAUSIBLE_SIZE, f"{frames} frames of {rows} x {columns} pixels")
    if frames == 1:
        raise refuse(Reason.NOT_A_RUN, "a single still, not a run of frames")
    return frames


def _whole(dataset: Dataset, keyword: str) -> int:
    number = value(dataset, keyword)
    if not isinstance(number, int):
        raise refuse(Reason.BROKEN_HEADER, f"the DICOM header does not give {keyword}")
    return number


def _identifier(dataset: Dataset, keyword: str) -> str:
    found = text(dataset, keyword)
    if not re.fullmatch(r"[0-9.]{1,64}", found):
        raise refuse(Reason.BROKEN_HEADER, f"the DICOM header has no valid {keyword}")
    return found


def _study_number(dataset: Dataset, keyword: str) -> str:
    """Return a number that may identify the study; empty if it fails the rule for patient numbers."""
    try:
        return patient_id(text(dataset, keyword)) or ""
    except PatientIdError:
        return ""


def _frame_seconds(dataset: Dataset) -> float | None:
    """Return the mean time between frames, in seconds."""
    vector = [float(each) for each in list(value(dataset, "FrameTimeVector", MAX_VALUES_BYTES) or [])[1:]]
    rate = float(value(dataset, "CineRate") or 0)
    milliseconds = value(dataset, "FrameTime") or (sum(vector) / len(vector) if vector else 0)
    seconds = float(milliseconds) / 1000 or (1 / rate if rate else 0)
    return seconds if math.isfinite(seconds) and seconds > 0 else None
