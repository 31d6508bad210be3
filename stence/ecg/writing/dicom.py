"""DICOM 12-Lead ECG (PS3.3 A.34.3), without identifying attributes (PS3.15 E)."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, TwelveLeadECGWaveformStorage, generate_uid
from pydicom.valuerep import format_number_as_ds

from stence.ecg.leads import STANDARD_CODES
from stence.ecg.reasons import Reason, refuse
from stence.ecg.recording import LEADS, Recording
from stence.ecg.writing.particulars import Particulars
from stence.ecg.writing.quantised import INVALID, Quantised, quantise

RATES = (200.0, 1000.0)
"""Hz of a 12-lead ECG (A.34.3.4)."""
MAX_SAMPLES = 16_384
"""Samples of each lead (A.34.3.4)."""
_NO_TIME = "19000101000000"
"""In the place of a time that is required (type 1, C.10.8) and must not be told; readers know it as none."""
_CODES = {lead: code for code, lead in STANDARD_CODES.items()}


def files(name: str, recording: Recording, particulars: Particulars) -> Mapping[str, bytes]:
    """Return the DICOM file. UIDs are random, so that nothing follows from them.

    Raises UnusableEcgError for amplitudes, rates and lengths that the 12-lead ECG object does not allow.
    """
    _check(recording)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = TwelveLeadECGWaveformStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(prefix=None)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    file.SpecificCharacterSet = "ISO_IR 192"
    file.SOPClassUID, file.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    _describe_patient(file, particulars)
    _describe_study(file, particulars)
    file.AcquisitionContextSequence = []
    file.WaveformSequence = [_rhythm(quantise(recording.signal), recording.sampling_rate)]
    if particulars.statements:
        file.WaveformAnnotationSequence = list(map(_statement, particulars.statements))
    content = BytesIO()
    file.save_as(content, enforce_file_format=True)
    return {f"{name}.dcm": content.getvalue()}


def _check(recording: Recording) -> None:
    rate, samples = recording.sampling_rate, recording.signal.shape[1]
    if not RATES[0] <= rate <= RATES[1]:
        detail = f"a DICOM 12-lead ECG has 200 to 1000 Hz, not {rate:g}; convert it to WFDB"
        raise refuse(Reason.IMPLAUSIBLE_SAMPLING_RATE, detail, value=rate)
    if samples > MAX_SAMPLES:
        detail = (
            f"a DICOM 12-lead ECG has up to {MAX_SAMPLES} samples a lead, not {samples}; convert it to WFDB"
        )
        raise refuse(Reason.IMPLAUSIBLE_SIZE, detail, value=samples)


def _describe_patient(file: Dataset, particulars: Particulars) -> None:
    file.PatientID, file.PatientSex = particulars.patient, particulars.sex or ""
    file.PatientName = file.PatientBirthDate = ""
    if particulars.age is not None:
        file.PatientAge = f"{particulars.age:03d}Y"
    file.PatientIdentityRemoved = "YES"
    file.DeidentificationMethod = "keyed pseudonym; signal, sex and age up to 90 kept"


def _describe_study(file: Dataset, particulars: Particulars) -> None:
    moment = particulars.acquired_at
    known = f"{moment:%Y%m%d%H%M%S}" if moment else ""
    required = known or _NO_TIME
    file.StudyDate, file.StudyTime = known[:8], known[8:]
    file.ContentDate, file.ContentTime = required[:8], required[8:]
    file.AcquisitionDateTime = required + (f"{moment:%z}" if moment else "")
    file.StudyInstanceUID, file.SeriesInstanceUID = generate_uid(prefix=None), generate_uid(prefix=None)
    file.Modality, file.SeriesNumber, file.InstanceNumber = "ECG", 1, 1
    file.StudyID = file.AccessionNumber = file.ReferringPhysicianName = file.Manufacturer = ""


def _rhythm(signal: Quantised, rate: float) -> Dataset:
    """Return the multiplex group of all leads (C.10.9)."""
    group = Dataset()
    group.MultiplexGroupTimeOffset = "0"
    group.WaveformOriginality, group.MultiplexGroupLabel = "ORIGINAL", "RHYTHM"
    group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = signal.samples.shape
    group.SamplingFrequency = format_number_as_ds(float(rate))
    group.ChannelDefinitionSequence = [_channel(lead, signal.step_uv) for lead in LEADS]
    group.WaveformBitsAllocated, group.WaveformSampleInterpretation = 16, "SS"
    group.WaveformPaddingValue = INVALID.to_bytes(2, "little", signed=True)
    group.WaveformData = signal.samples.T.astype("<i2").tobytes()
    return group


def _channel(lead: str, step_uv: float) -> Dataset:
    channel = Dataset()
    channel.ChannelSourceSequence = [_code(f"2:{_CODES[lead]}", "MDC", f"Lead {lead}")]
    channel.ChannelSensitivity = f"{step_uv:g}"
    channel.ChannelSensitivityUnitsSequence = [_code("uV", "UCUM", "microvolt")]
    channel.ChannelSensitivityCorrectionFactor = "1"
    channel.ChannelBaseline = channel.ChannelTimeSkew = "0"
    channel.WaveformBitsStored = 16
    return channel


def _statement(text: str) -> Dataset:
    """Return an annotation of the whole first group (C.10.10)."""
    annotation = Dataset()
    annotation.ReferencedWaveformChannels = [1, 0]
    annotation.UnformattedTextValue = text
    return annotation


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code
