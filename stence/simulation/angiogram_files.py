"""Write XA DICOM files: multi-frame X-ray angiograms, JPEG Baseline, RLE or uncompressed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
    XRayAngiographicImageStorage,
)

from stence.simulation.angiograms import Run
from stence.simulation.patients import Patient

_QUALITY = 85
_SYNTAXES = (JPEGBaseline8Bit, RLELossless, ExplicitVRLittleEndian)
_SHARES = (0.97, 0.015, 0.015)


@dataclass(frozen=True, slots=True)
class Study:
    """A cath study: its patient, its id in the cath report, and its time."""

    patient: Patient
    study_id: int
    performed_at: datetime


def draw_syntax(rng: np.random.Generator) -> UID:
    """Draw a run's transfer syntax: nearly all are JPEG Baseline."""
    return _SYNTAXES[int(rng.choice(len(_SYNTAXES), p=_SHARES))]


def angiogram_dataset(study: Study, run: Run, syntax: UID) -> FileDataset:
    """Build the X-Ray Angiographic Image IOD (DICOM PS3.3 A.14) of one run."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = XRayAngiographicImageStorage
    meta.MediaStorageSOPInstanceUID = UID(f"2.25.{study.study_id}4{run.number:02d}")
    meta.TransferSyntaxUID = syntax
    file = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    file.SOPClassUID, file.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    _set_study(file, study)
    file.ImageType = ["ORIGINAL", "PRIMARY", "SINGLE PLANE"]
    file.Modality, file.SeriesNumber, file.InstanceNumber = "XA", 1, run.number
    file.BurnedInAnnotation = "NO"
    file.Manufacturer, file.ManufacturerModelName = "Practice", "C-arm"
    file.AcquisitionDate = file.ContentDate = f"{run.taken_at:%Y%m%d}"
    file.AcquisitionTime = file.ContentTime = f"{run.taken_at:%H%M%S}"
    file.RadiationSetting, file.KVP, file.PositionerMotion = "GR", "80", "STATIC"
    file.PositionerPrimaryAngle, file.PositionerSecondaryAngle = str(run.primary), str(run.secondary)
    file.FrameTime, file.FrameIncrementPointer = f"{1000 * run.frame_seconds:.4f}", 0x00181063
    file.PatientOrientation, file.PixelIntensityRelationship = "", "DISP"
    set_frames(file, run.frames)
    return file


def _set_study(file: FileDataset, study: Study) -> None:
    """Set patient, study identifiers and start time."""
    patient, number = study.patient, study.study_id
    file.ReferringPhysicianName = file.PatientName = file.PatientBirthDate = ""
    file.PatientID, file.PatientSex = str(patient.subject_id), patient.sex
    file.PatientAge = f"{patient.age:03d}Y"
    file.StudyInstanceUID, file.SeriesInstanceUID = f"2.25.{number}1", f"2.25.{number}2"
    file.StudyID = file.AccessionNumber = str(number)
    file.StudyDate = file.SeriesDate = f"{study.performed_at:%Y%m%d}"
    file.StudyTime = file.SeriesTime = f"{study.performed_at:%H%M%S}"


def set_frames(file: FileDataset, frames: NDArray[np.float32]) -> None:
    """Encode frames (n, rows, columns) of 0-1 into the file, in its transfer syntax."""
    syntax = file.file_meta.TransferSyntaxUID
    bits = 12 if syntax == ExplicitVRLittleEndian else 8
    counts = (frames * np.float32(2**bits - 1) + np.float32(0.5)).astype(np.uint8 if bits == 8 else "<u2")
    file.NumberOfFrames, file.Rows, file.Columns = counts.shape
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
    file.BitsAllocated, file.BitsStored, file.HighBit = 8 * counts.itemsize, bits, bits - 1
    file.PixelRepresentation = 0
    if syntax == JPEGBaseline8Bit:
        file.PixelData = encapsulate([_jpeg(frame) for frame in counts])
        file.LossyImageCompression, file.LossyImageCompressionMethod = "01", "ISO_10918_1"
        file["PixelData"].is_undefined_length = True
        file["PixelData"].VR = "OB"
    elif syntax == RLELossless:
        file.compress(RLELossless, counts, encoding_plugin="pylibjpeg", generate_instance_uid=False)
    else:
        file.PixelData = counts.tobytes()
        file["PixelData"].VR = "OW"


def _jpeg(frame: NDArray[np.uint8]) -> bytes:
    content = BytesIO()
    Picture.fromarray(frame).save(content, "JPEG", quality=_QUALITY)
    return content.getvalue()


def content_of(file: FileDataset) -> bytes:
    """Return the file's bytes."""
    content = BytesIO()
    file.save_as(content, enforce_file_format=True)
    return content.getvalue()
