"""Small files that made reading slow or large: each is refused with its reason, at once."""

from __future__ import annotations

import struct
from collections.abc import Mapping

import numpy as np
import pytest

from stence import ecg
from stence.domain.patients import PatientIdError, patient_id
from stence.ecg import LEADS, Reason, UnusableEcgError
from stence.ecg.formats import xml_document
from stence.ecg.formats.limits import DEFAULT_LIMITS, Limits
from stence.ecg.leads import lead_of_name
from support import mfer, scp, xml_ecgs
from support.ecgs import heartbeats
from support.hostile import allocated, cost

SIGNAL = heartbeats(3, 4)
MAX_SECONDS, MAX_MB = 0.5, 60.0


def refused(files: Mapping[str, bytes], limits: Limits = DEFAULT_LIMITS) -> ecg.Finding:
    with pytest.raises(UnusableEcgError) as error:
        ecg.decode(next(iter(files)), files, limits)
    return error.value.finding


def assert_cheap(content: bytes) -> None:
    """At most half a second and 60 MB: before its bound each of these took seconds or a gigabyte."""
    files = {"ecg.xml": content}
    assert refused({"ecg.xml": content}).reason == Reason.IMPLAUSIBLE_SIZE
    seconds, megabytes = cost(lambda: refused(files))
    assert seconds < MAX_SECONDS
    assert megabytes < MAX_MB


def test_a_tag_with_a_flood_of_attributes() -> None:
    assert_cheap(b"<RestingECG " + b" ".join(b'a%x=""' % number for number in range(600_000)) + b"/>")


def test_a_long_namespace_before_many_names() -> None:
    names = b"".join(b"<a%x/>" % number for number in range(2000))
    assert_cheap(b'<RestingECG xmlns="' + b"u" * 2**17 + b'">' + names + b"</RestingECG>")


def test_a_namespace_of_usual_length_is_read() -> None:
    content = b'<RestingECG xmlns="' + b"u" * 256 + b'"/>'
    assert xml_document.parse(content, DEFAULT_LIMITS).tag == "RestingECG"


def test_a_document_longer_than_a_part_is_read() -> None:
    content = b"<RestingECG><a>" + b"x" * 3 * 2**20 + b"</a><b>y</b></RestingECG>"
    root = xml_document.parse(content, DEFAULT_LIMITS)
    assert len(xml_document.text(root, "a")) == 3 * 2**20
    assert xml_document.text(root, "b") == "y"


def test_base64_in_words_takes_no_memory_a_word() -> None:
    root = xml_document.parse(b"<a><b>" + b"AAB CDE " * 2**20 + b"</b></a>", DEFAULT_LIMITS)
    assert len(xml_document.binary(root, "b")) == 2**20 * 6 * 3 // 4
    assert allocated(lambda: xml_document.binary(root, "b")) < 45


def test_a_patient_number_of_accents() -> None:
    accents = "a" + "\u0300\u0316" * 10_000
    with pytest.raises(PatientIdError, match="20001 characters"):
        patient_id(accents)
    assert patient_id("e\u0301" * 64) == "\u00e9" * 64


def test_long_lead_names_are_not_kept() -> None:
    def read() -> None:
        for number in range(20):
            assert lead_of_name(str(number) * 2**20) is None

    assert allocated(read) < 10


def overlapping_zip(entries: int, packed: bytes) -> bytes:
    """A zip file of which all entries are the same bytes."""
    local = (
        b"PK\x03\x04" + struct.pack("<HHHHHLLLHH", 20, 0, 8, 0, 0, 0, len(packed), 0, 1, 0) + b"a" + packed
    )
    directory = b"".join(
        b"PK\x01\x02"
        + struct.pack("<HHHHHHLLLHHHHHLL", 20, 20, 0, 8, 0, 0, 0, len(packed), 0, 5, 0, 0, 0, 0, 0, 0)
        + b"%05d" % number
        for number in range(entries)
    )
    end = struct.pack("<HHHHLLH", 0, 0, entries, entries, len(directory), len(local), 0)
    return local + directory + b"PK\x05\x06" + end


@pytest.mark.parametrize("packed", [b"\0\0\0\xff\xff" * 9999 + b"\1\0\0\xff\xff", b"\3\0" + bytes(50_000)])
def test_members_that_overlap_and_expand_to_nothing(packed: bytes) -> None:
    assert refused({"a.zip": overlapping_zip(100, packed)}).reason == Reason.UNSAFE_ARCHIVE
    assert refused({"a.zip": overlapping_zip(1, packed)}).reason == Reason.UNSUPPORTED_FORMAT


def segments(count: int) -> dict[str, bytes]:
    """A record whose segments are all the same one, of which the file has far more samples."""
    lines = "".join(f"s.dat 16 200/mV 16 0 0 0 0 {lead}\n" for lead in LEADS)
    return {
        "a.hea": (f"a/{count} 12 500 {100 * count}\n" + "s 100\n" * count).encode(),
        "s.hea": f"s 12 500\n{lines}".encode(),
        "s.dat": np.tile(SIGNAL.T, (50, 1)).astype("<i2").tobytes(),
    }


def test_segments_that_read_one_large_file_again_and_again() -> None:
    limits = Limits(expanded_bytes=len(segments(1)["s.dat"]) * 5)
    assert ecg.decode("a.hea", segments(5), limits).signal.shape == (12, 500)
    assert refused(segments(6), limits).reason == Reason.IMPLAUSIBLE_SIZE


def test_a_segment_is_not_decoded_beyond_its_samples() -> None:
    files = segments(2)
    limits = Limits(samples=12 * 200)
    np.testing.assert_array_equal(
        ecg.decode("a.hea", files, limits).signal[:, 100:], SIGNAL[:, :100] / np.float32(200)
    )


def test_reference_beats_that_overlap() -> None:
    codes = [scp.CODES[lead] for lead in LEADS]
    samples = SIGNAL.shape[1]
    whole = scp.Beats(SIGNAL[:, :20] * 0, 10, [(0, 1, 10, samples)] * 4000)
    content = scp.Scp(SIGNAL, codes, 1000, beats=whole).encoded()
    assert refused({"ecg.scp": content}).reason == Reason.IMPLAUSIBLE_SIZE


def test_a_number_of_many_bytes_in_mfer() -> None:
    content = mfer.Mfer(SIGNAL.astype("<i2"), [1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8]).encoded()
    at = content.index(mfer.element(0x1E, b"")[:1], content.index(b"\x0c"))
    hostile = content[:at] + mfer.element(0x04, bytes(8) + b"\1") + content[at:]
    assert "more than eight bytes" in refused({"a.mwf": hostile}).detail


def test_xml_of_the_encoder_is_read_in_parts() -> None:
    leads = {name: np.tile(samples, 200) for name, samples in xml_ecgs.signals(1000).items()}
    recording = ecg.decode("a.xml", {"a.xml": xml_ecgs.muse(xml_ecgs.muse_waveform(leads))})
    assert recording.signal.shape == (12, 200_000)
