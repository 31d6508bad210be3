"""Small X-ray angiograms made for tests: a vessel fills and empties behind a noisy detector."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import gdcm
import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate

FILLING = (0.0, 0.05, 0.4, 0.8, 1.0, 0.7, 0.3)
"""How much contrast medium there is in each frame."""
KEY_FRAME = FILLING.index(max(FILLING))
PATIENT_ID, PATIENT_NAME = "PAT-4711", "Doe^Jane"


def run(filling: tuple[float, ...] = FILLING, side: int = 64, bits: int = 8) -> NDArray[np.uint16]:
    """Frames (n, side, side) of ``bits`` bits: two winding vessels, a catheter throughout, noise."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[:side, :side] / side
    chest = 0.75 + 0.15 * np.sin(3 * x + 1) * np.cos(2 * y)
    vessel = _tube(x, 0.35 + 0.12 * np.sin(6 * y), 0.02) + _tube(y, 0.6 + 0.1 * np.sin(5 * x), 0.016)
    catheter = _tube(x, 0.8 + 0 * y, 0.015) * (y < 0.6)
    frames = np.stack([chest * np.exp(-0.6 * vessel * share - 0.4 * catheter) for share in filling])
    frames += rng.normal(0, 0.008, frames.shape)
    return np.round(np.clip(frames, 0, 1) * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)


def _tube(along: NDArray[np.float64], centre: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    return np.exp(-(((along - centre) / width) ** 2))


def dataset(frames: NDArray[np.uint16], bits: int = 8) -> FileDataset:
    """An uncompressed X-Ray Angiographic Image of the frames."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = uid.XRayAngiographicImageStorage
    meta.MediaStorageSOPInstanceUID = uid.UID("2.25.123456789")
    meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    file = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    file.SOPClassUID, file.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    file.StudyInstanceUID, file.SeriesInstanceUID = "2.25.1", "2.25.2"
    file.ImageType, file.Modality = ["ORIGINAL", "PRIMARY", "SINGLE PLANE"], "XA"
    file.PatientID, file.PatientName, file.PatientBirthDate = PATIENT_ID, PATIENT_NAME, "19500102"
    file.AccessionNumber, file.StudyID = "A17", "S17"
    file.StudyDate, file.StudyTime = "20240305", "081500"
    file.AcquisitionDate, file.AcquisitionTime = "20240305", "083000.250"
    file.PositionerMotion, file.PositionerPrimaryAngle, file.PositionerSecondaryAngle = (
        "STATIC",
        "-30.5",
        "20",
    )
    file.FrameTime, file.FrameIncrementPointer = "50", 0x00181063
    file.NumberOfFrames, file.Rows, file.Columns = frames.shape
    file.SamplesPerPixel, file.PhotometricInterpretation, file.PixelRepresentation = 1, "MONOCHROME2", 0
    file.BitsAllocated, file.BitsStored, file.HighBit = 8 * frames.itemsize, bits, bits - 1
    file.PixelData = frames.tobytes()
    file["PixelData"].VR = "OB" if frames.itemsize == 1 else "OW"
    return file


def content(file: Dataset) -> bytes:
    """The file's bytes."""
    buffer = BytesIO()
    file.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def jpeg(frame: NDArray[np.uint8]) -> bytes:
    """A frame as JPEG Baseline."""
    buffer = BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def set_encapsulated(file: FileDataset, syntax: uid.UID, frames: list[bytes]) -> None:
    """Give the file these compressed frames."""
    file.file_meta.TransferSyntaxUID = syntax
    file.PixelData = encapsulate(frames)
    file["PixelData"].VR = "OB"
    file["PixelData"].is_undefined_length = True


def compressed(frames: NDArray[np.uint16], syntax: uid.UID, bits: int = 8) -> bytes:
    """The bytes of a run in any transfer syntax."""
    file = dataset(frames, bits)
    if syntax in (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian):
        file.file_meta.TransferSyntaxUID = syntax
        return content(file)
    if syntax == uid.ExplicitVRBigEndian:
        return _big_endian(file, frames)
    if syntax == uid.JPEGBaseline8Bit:
        set_encapsulated(file, syntax, [jpeg(frame) for frame in frames])
        return content(file)
    return _by_gdcm(content(file), syntax)


def _big_endian(file: FileDataset, frames: NDArray[np.uint16]) -> bytes:
    file.file_meta.TransferSyntaxUID = uid.ExplicitVRBigEndian
    file.PixelData = frames.astype(frames.dtype.newbyteorder(">")).tobytes()
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, file, little_endian=False, implicit_vr=False)
    return buffer.getvalue()


def _by_gdcm(plain: bytes, syntax: uid.UID) -> bytes:
    with TemporaryDirectory() as folder:
        source, target = Path(folder, "plain.dcm"), Path(folder, "compressed.dcm")
        source.write_bytes(plain)
        reader = gdcm.ImageReader()
        reader.SetFileName(str(source))
        assert reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(syntax))))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer = gdcm.ImageWriter()
        writer.SetFileName(str(target))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
        return target.read_bytes()
