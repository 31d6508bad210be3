"""DICOM ECGs in every transfer syntax and sample size, and what the machine says in them."""

from __future__ import annotations

import struct
from io import BytesIO

import numpy as np
import pydicom
import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    EncapsulatedPDFStorage,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from stence import ecg
from stence.ecg import Reason, Recording, UnusableEcgError
from stence.ecg.formats.limits import Limits
from support.dicom_ecg import (
    ORIGINAL,
    assert_refused,
    assert_same,
    channel,
    dataset,
    decode,
    decode_bytes,
    reason_of,
    rhythm,
)

__all__ = ["dataset"]


def test_big_endian(dataset: Dataset):
    for group in dataset.WaveformSequence:
        group.WaveformData = np.frombuffer(group.WaveformData, "<i2").astype(">i2").tobytes()
    dataset.remove_private_tags()
    content = BytesIO()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    pydicom.dcmwrite(content, dataset, little_endian=False, implicit_vr=False)
    signal = ecg.decode("ecg.dcm", {"ecg.dcm": content.getvalue()}).signal
    np.testing.assert_array_equal(signal, ecg.read(ORIGINAL).signal)


def test_deflated_files_are_inflated_within_limits(dataset: Dataset):
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    assert_same(decode(dataset), ecg.read(ORIGINAL))
    content = BytesIO()
    dataset.save_as(content)
    for limits in (Limits(expanded_bytes=100_000), Limits(expansion=1)):
        with pytest.raises(UnusableEcgError) as caught:
            ecg.decode("ecg.dcm", {"ecg.dcm": content.getvalue()}, limits)
        assert caught.value.finding.reason is Reason.IMPLAUSIBLE_SIZE


def test_a_deflated_file_that_ends_early_is_truncated(dataset: Dataset):
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    content = BytesIO()
    dataset.save_as(content)
    assert_refused(content.getvalue()[:-5000], Reason.TRUNCATED)


def test_a_printed_ecg_says_what_to_export(dataset: Dataset):
    dataset.SOPClassUID = EncapsulatedPDFStorage
    with pytest.raises(UnusableEcgError, match="export waveforms") as caught:
        decode(dataset)
    assert caught.value.finding.reason is Reason.UNSUPPORTED_FORMAT


def test_other_objects_are_unsupported(dataset: Dataset):
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.12.1"  # X-ray angiography
    assert reason_of(dataset) is Reason.UNSUPPORTED_FORMAT


@pytest.mark.parametrize("implicit", [False, True])
def test_files_without_the_dicom_mark_are_read(dataset: Dataset, implicit: bool):
    content = BytesIO()
    content_of = Dataset(dict(dataset.items()))
    pydicom.dcmwrite(content, content_of, implicit_vr=implicit, little_endian=True, enforce_file_format=False)
    assert content.getvalue()[:2] == b"\x08\x00"
    assert_same(decode_bytes(content.getvalue()), ecg.read(ORIGINAL))


def test_a_file_may_start_with_its_meta_information():
    assert_same(decode_bytes(ORIGINAL.read_bytes()[132:]), ecg.read(ORIGINAL))


@pytest.mark.parametrize(
    "content",
    [b"\x08\x00\x05\x00" + b"\xff" * 300, b"\x08\x00\x99\x00CS\x04\x00" + bytes(300), b"\x08\x00\x05\x00"],
)
def test_other_files_are_not_taken_for_dicom(content: bytes):
    with pytest.raises(UnusableEcgError, match="no ECG format"):
        decode_bytes(content)


def test_implicit_little_endian(dataset: Dataset):
    dataset.remove_private_tags()
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    content = BytesIO()
    pydicom.dcmwrite(content, dataset, implicit_vr=True, little_endian=True)
    assert_same(decode_bytes(content.getvalue()), ecg.read(ORIGINAL))


def test_a_sequence_of_unknown_representation_holds_implicit_elements(dataset: Dataset):
    """As a system that does not know a tag passes it on (PS3.5 6.2.2)."""
    alone = Dataset()
    alone.WaveformSequence = dataset.WaveformSequence
    content = DicomBytesIO()
    content.is_implicit_VR, content.is_little_endian = True, True
    write_dataset(content, alone)
    dataset[0x54000100] = DataElement(0x54000100, "UN", content.getvalue()[8:])
    assert_same(decode(dataset), ecg.read(ORIGINAL))


def test_samples_that_go_on_beyond_their_item_are_truncated(dataset: Dataset):
    del dataset.WaveformSequence[1:]
    dataset["WaveformSequence"].is_undefined_length = False
    rhythm(dataset).is_undefined_length_sequence_item = False
    buffer = BytesIO()
    dataset.save_as(buffer)
    content = bytearray(buffer.getvalue())
    at = content.index(b"\xfe\xff\x00\xe0", content.index(b"\x00\x54\x00\x01SQ")) + 4
    (size,) = struct.unpack_from("<I", content, at)
    struct.pack_into("<I", content, at, size - 100)
    assert_refused(bytes(content), Reason.TRUNCATED)


def twelve_bits(dataset: Dataset, high: int) -> Recording:
    """The rhythm within 12 bits, with the four bits above them from ``high`` where the sign is negative."""
    samples = np.clip(np.frombuffer(rhythm(dataset).WaveformData, "<i2").astype(int), -2048, 2047)
    stored = np.where(samples < 0, (samples & 0x0FFF) | high, samples).astype("<u2")
    rhythm(dataset).WaveformData = stored.tobytes()
    for definition in rhythm(dataset).ChannelDefinitionSequence:
        definition.WaveformBitsStored = 12
    return decode(dataset)


@pytest.mark.parametrize("high", [0x0000, 0xF000])
def test_twelve_bits_in_sixteen_are_signed(dataset: Dataset, high: int):
    expected = np.clip(ecg.read(ORIGINAL).signal, -2048 * 0.00125, 2047 * 0.00125)
    np.testing.assert_allclose(twelve_bits(dataset, high).signal, expected, atol=1e-6)


def test_a_wrong_number_of_stored_bits_does_not_wrap_samples(dataset: Dataset):
    for definition in rhythm(dataset).ChannelDefinitionSequence:
        definition.WaveformBitsStored = 6
    assert_same(decode(dataset), ecg.read(ORIGINAL))


def test_measurements_and_statements_of_the_machine():
    recording = ecg.read(ORIGINAL)
    assert dict(recording.measurements) == {
        **{"rr_ms": 982, "pr_ms": 161, "qrs_ms": 75, "qt_ms": 368, "qtc_ms": 370},
        **{"p_axis": 74, "qrs_axis": 52, "t_axis": 57},
    }
    assert recording.statements == ("RITMO SINUSALE", "ECG NORMALE")
    assert recording.filters == "0.05 to 300 Hz"


def test_measurements_are_of_all_channels_and_in_milliseconds(dataset: Dataset):
    qrs = next(item for item in dataset.WaveformAnnotationSequence if is_qrs(item))
    qrs.NumericValue, qrs.MeasurementUnitsCodeSequence[0].CodeValue = "0.094", "s"
    qrs.ConceptNameCodeSequence[0].CodeValue = "2:16156"
    assert decode(dataset).measurements["qrs_ms"] == pytest.approx(94)
    qrs.ReferencedWaveformChannels = [1, 3]
    assert "qrs_ms" not in decode(dataset).measurements


def is_qrs(annotation: Dataset) -> bool:
    return any(code.CodeValue == "5.13.5-9" for code in annotation.get("ConceptNameCodeSequence", ()))


def test_serial_and_statements_in_their_character_set(dataset: Dataset):
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.DeviceSerialNumber = "SN-0042"
    dataset.WaveformAnnotationSequence[0].UnformattedTextValue = "Rythme sinusal r\u00e9gulier"
    assert decode(dataset).device_serial == "SN-0042"
    assert decode(dataset).statements[0] == "Rythme sinusal r\u00e9gulier"


@pytest.mark.parametrize("sensitivity", ["0", "inf", "nan"])
def test_a_scale_of_nothing_is_no_scale(dataset: Dataset, sensitivity: str):
    channel(dataset, 4).add_new("ChannelSensitivity", "UN", sensitivity.encode())
    assert reason_of(dataset) is Reason.UNKNOWN_UNIT


@pytest.mark.parametrize("limits", [Limits(elements=1000), Limits(nesting=3)])
def test_elements_and_nesting_are_limited(limits: Limits):
    with pytest.raises(UnusableEcgError) as caught:
        ecg.decode("ecg.dcm", {"ecg.dcm": ORIGINAL.read_bytes()}, limits)
    assert caught.value.finding.reason is Reason.IMPLAUSIBLE_SIZE
