"""Write ECG files: WFDB (header and format 16 signal) and DICOM 12-lead ECG."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, TwelveLeadECGWaveformStorage

from stence.simulation.devices import LEADS, Device

INVALID = -32768
"""Count of a missing sample, in both formats."""
_MDC_LEADS = dict(zip(LEADS, ("1", "2", "61", "62", "63", "64", "3", "4", "5", "6", "7", "8"), strict=True))
"""Lead codes 2:n of the ISO/IEEE 11073-10101 nomenclature (DICOM PS3.16 CID 3001)."""


@dataclass(frozen=True, slots=True)
class Ecg:
    """One recording in the machine's units: ``counts`` (12, n) in the order I II III aVR aVL aVF V1-V6.

    ``site`` is None if the machine does not know it.
    """

    subject_id: int
    study_id: int
    age: int
    sex: str
    taken_at: datetime
    device: Device
    rate: int
    counts: NDArray[np.int16]
    site: str | None = None


def write(ecg: Ecg) -> dict[str, bytes]:
    """Return the recording's files by name, in the device's format."""
    return write_dicom(ecg) if ecg.device.file_format == "dicom" else write_wfdb(ecg)


def write_wfdb(ecg: Ecg) -> dict[str, bytes]:
    """Return ``.hea`` and ``.dat`` (signal format 16), by the header(5) and signal(5) pages of WFDB.

    As in MIMIC-IV-ECG, the manifest and not the header names the patient.
    """
    name, device = str(ecg.study_id), ecg.device
    rows = [LEADS.index(lead) for lead in device.leads][: len(ecg.counts)]
    counts = ecg.counts[rows]
    lines = [f"{name} {len(counts)} {ecg.rate} {counts.shape[1]} {ecg.taken_at:%H:%M:%S %d/%m/%Y}"]
    scale = f"{device.counts_per_mv}({device.baseline})/mV"
    lines += [
        f"{name}.dat 16 {scale} 16 0 {row[0]} {_checksum(row)} 0 {LEADS[lead]}"
        for lead, row in zip(rows, counts, strict=True)
    ]
    lines += [f"# Age: {ecg.age}", f"# Sex: {ecg.sex}", f"# Device: {device.manufacturer} {device.model}"]
    lines += [f"# Site: {ecg.site}"] if ecg.site else []
    header = ("\n".join(lines) + "\n").encode("ascii")
    return {f"{name}.hea": header, f"{name}.dat": counts.T.astype("<i2").tobytes()}


def _checksum(row: NDArray[np.int16]) -> int:
    """Compute the sum of the samples as a signed 16-bit number."""
    return (int(row.sum(dtype=np.int64)) + 32768) % 65536 - 32768


def write_dicom(ecg: Ecg) -> dict[str, bytes]:
    """Return a ``.dcm`` of the 12-Lead ECG IOD (DICOM PS3.3 A.34.3) with the rhythm waveform only."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = TwelveLeadECGWaveformStorage
    meta.MediaStorageSOPInstanceUID = UID(f"2.25.{ecg.study_id}3")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    file.SOPClassUID, file.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    file.StudyDate = file.ContentDate = f"{ecg.taken_at:%Y%m%d}"
    file.StudyTime = file.ContentTime = f"{ecg.taken_at:%H%M%S}"
    file.AcquisitionDateTime = f"{ecg.taken_at:%Y%m%d%H%M%S}"
    file.AccessionNumber = str(ecg.study_id)
    file.Modality = "ECG"
    file.Manufacturer, file.ManufacturerModelName = ecg.device.manufacturer, ecg.device.model
    if ecg.site:
        file.InstitutionName = ecg.site
    file.ReferringPhysicianName = file.PatientName = file.PatientBirthDate = ""
    file.PatientID, file.PatientSex, file.PatientAge = str(ecg.subject_id), ecg.sex, f"{ecg.age:03d}Y"
    file.StudyInstanceUID, file.SeriesInstanceUID = f"2.25.{ecg.study_id}1", f"2.25.{ecg.study_id}2"
    file.StudyID, file.SeriesNumber, file.InstanceNumber = str(ecg.study_id), 1, 1
    file.AcquisitionContextSequence = []
    file.WaveformSequence = [_rhythm(ecg)]
    content = BytesIO()
    file.save_as(content, enforce_file_format=True)
    return {f"{ecg.study_id}.dcm": content.getvalue()}


def _rhythm(ecg: Ecg) -> Dataset:
    """Build the multiplex group with all channels (PS3.3 C.10.9)."""
    group = Dataset()
    group.MultiplexGroupTimeOffset = "0"
    group.WaveformOriginality = "ORIGINAL"
    group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = ecg.counts.shape
    group.SamplingFrequency = str(ecg.rate)
    group.MultiplexGroupLabel = "RHYTHM"
    group.ChannelDefinitionSequence = [_channel(lead, ecg.device) for lead in LEADS[: len(ecg.counts)]]
    group.WaveformBitsAllocated = 16
    group.WaveformSampleInterpretation = "SS"
    group.WaveformPaddingValue = INVALID.to_bytes(2, "little", signed=True)
    group.WaveformData = ecg.counts.T.astype("<i2").tobytes()
    return group


def _channel(lead: str, device: Device) -> Dataset:
    channel = Dataset()
    channel.ChannelSourceSequence = [_code(f"2:{_MDC_LEADS[lead]}", "MDC", f"Lead {lead}")]
    channel.ChannelSensitivity = f"{1000 / device.counts_per_mv:g}"
    channel.ChannelSensitivityUnitsSequence = [_code("uV", "UCUM", "microvolt")]
    channel.ChannelSensitivityCorrectionFactor = "1"
    channel.ChannelBaseline = str(-device.baseline * 1000 / device.counts_per_mv)
    channel.ChannelTimeSkew = "0"
    channel.WaveformBitsStored = 16
    channel.FilterLowFrequency, channel.FilterHighFrequency = "0.05", f"{device.bandwidth:g}"
    return channel


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code
