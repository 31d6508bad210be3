"""Small X-ray runs in DICOM, and a backbone that needs no weights and no time."""

from __future__ import annotations

from datetime import datetime
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, XRayAngiographicImageStorage

NOON = datetime(2026, 3, 20, 12)


class Blocks:
    """Means of the four quarters of a frame."""

    version = "blocks-1"
    patch_dim = 2
    tokens = 4
    side = 16
    initial_blocks = None

    def features(self, frames: NDArray[np.float32]) -> NDArray[np.float16]:
        """(n, 4, 2) of frames (n, 16, 16): mean and spread."""
        quarters = frames.reshape(len(frames), 2, 8, 2, 8)
        means, spreads = quarters.mean(axis=(2, 4)), quarters.std(axis=(2, 4))
        return np.stack([means, spreads], axis=-1).reshape(len(frames), 4, 2).astype(np.float16)


def run(
    patient: str,
    number: int,
    *,
    frames: int = 8,
    filled: int = 5,
    accession: str = "",
    taken_at: datetime = NOON,
    angles: tuple[float, float] = (-30.0, 20.0),
    sop_class: str = XRayAngiographicImageStorage,
    seed: int = 0,
    text: str = "NO",
) -> bytes:
    """A run of 64 x 64 pixels whose vessel is longest in frame ``filled``; ``number`` is in its UIDs.

    ``text``: what it states about text that is burned into its pixels.
    """
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.Modality = sop_class, "XA"
    dataset.SOPInstanceUID, dataset.StudyInstanceUID = f"1.2.826.0.1.{number}", f"1.2.826.0.2.{number}"
    dataset.PatientID, dataset.PatientName = patient, "Doe^Jane"
    dataset.AccessionNumber, dataset.BurnedInAnnotation = accession, text
    dataset.AcquisitionDate, dataset.AcquisitionTime = f"{taken_at:%Y%m%d}", f"{taken_at:%H%M%S}"
    dataset.PositionerPrimaryAngle, dataset.PositionerSecondaryAngle = angles
    pixels = _pixels(frames, filled, seed)
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelRepresentation = 0
    dataset.PixelData = pixels.tobytes()
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _pixels(frames: int, filled: int, seed: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    pixels = rng.normal(180, 3, (frames, 64, 64))
    for number in range(frames):
        length = max(0, 56 - 12 * abs(number - filled))
        for y in range(4, 4 + length):
            x = round(32 + 12 * np.sin(y / 10))
            pixels[number, y, x - 1 : x + 2] = 60
    return np.clip(pixels, 0, 255).astype(np.uint8)
