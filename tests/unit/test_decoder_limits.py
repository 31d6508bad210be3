"""Files made to be slow or large to read end soon, in a reason, and in little memory."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import numpy as np
import pydicom
import pytest
import soundfile

from stence import ecg
from stence.angiography import Reason as AngiogramReason
from stence.angiography import UnusableAngiogramError, read_view
from stence.ecg import LEADS, Reason, UnusableEcgError
from stence.ecg.formats.limits import DEFAULT_LIMITS
from support import xa
from support.hostile import ITEM, SAMPLE, UNDEFINED, allocated, cost, dicom, element, item

NESTING = DEFAULT_LIMITS.nesting // 2
"""Sequences within sequences; each has a level for itself and one for its item."""
MAX_SECONDS, MAX_MB = 2.0, 300.0
MANY = 2_000_000
"""Empty items or elements: 16 MB, which took pydicom 52 s and 1.6 GB."""
WAVEFORMS, CHANNELS, RATE, PRIVATE = 0x54000100, 0x003A0200, 0x003A001A, 0x00091001
EMPTY_ITEMS = ITEM + bytes(4)
ESCAPES = b"\x1b$B("
CHANNEL = item(element(0x003A0208, "SQ", item(element(0x00080104, "LO", ESCAPES * 64))))


def nested(depth: int, tag: int = WAVEFORMS) -> bytes:
    content = b""
    for _ in range(depth):
        content = element(tag, "SQ", item(content))
    return content


def groups(count: int, channels: int) -> bytes:
    definition = element(CHANNELS, "SQ", CHANNEL * channels)
    return element(WAVEFORMS, "SQ", item(definition + element(RATE, "DS", b"500 ")) * count)


HOSTILE_DICOM: dict[str, Callable[[], bytes]] = {
    "empty items": lambda: element(WAVEFORMS, "SQ", EMPTY_ITEMS * MANY),
    "empty items without length": lambda: element(WAVEFORMS, "SQ", EMPTY_ITEMS * MANY, undefined=True),
    "empty private items": lambda: element(PRIVATE, "SQ", EMPTY_ITEMS * MANY, undefined=True),
    "items of no known type": lambda: element(WAVEFORMS, "UN", EMPTY_ITEMS * MANY),
    "no item tags": lambda: element(WAVEFORMS, "SQ", bytes(8) * MANY),
    "empty elements": lambda: element(PRIVATE, "LO", b"") * MANY,
    "empty elements in an item": lambda: element(WAVEFORMS, "SQ", item(element(PRIVATE, "LO", b"") * MANY)),
    "deep": lambda: nested(20_000),
    "deep and large": lambda: element(
        WAVEFORMS, "SQ", item(nested(30) + element(PRIVATE, "OW", bytes(2**24)))
    ),
    "deep without length": lambda: (
        (struct.pack("<HH2sH", 0x5400, 0x0100, b"SQ", 0) + UNDEFINED + ITEM + UNDEFINED) * 500_000
    ),
    "many names": lambda: groups(16, 64),
    "many waveforms": lambda: groups(5000, 1),
    "many channels": lambda: groups(1, 5000),
    "many numbers": lambda: element(WAVEFORMS, "SQ", item(element(RATE, "UT", b"1\\" * 10**7))),
    "no end": lambda: element(PRIVATE, "OB", bytes(2**25), undefined=True)[:-8],
    "false ends": lambda: element(PRIVATE, "OB", b"\xfe\xff" * 2**24, undefined=True),
    "character sets": lambda: element(0x00080005, "UT", b"A\\" * 10**7),
    "character sets in items": lambda: element(
        WAVEFORMS, "SQ", item(element(0x00080005, "CS", b"AB\\C" * 16_000)) * 200
    ),
    "small character sets": lambda: element(
        WAVEFORMS, "SQ", item(element(0x00080005, "CS", b"A\\" * 32)) * 50_000
    ),
    "a long patient number": lambda: element(0x00100020, "UT", ESCAPES * 10**6) + groups(1, 12),
    "a long site": lambda: element(0x00080080, "UT", ESCAPES * 10**6),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", HOSTILE_DICOM)
def test_dicom_ecgs(case: str) -> None:
    content = dicom(HOSTILE_DICOM[case]())
    reasons: list[Reason] = []

    def read() -> None:
        with pytest.raises(UnusableEcgError) as caught:
            ecg.decode("ecg.dcm", {"ecg.dcm": content})
        reasons.append(caught.value.finding.reason)

    seconds, megabytes = cost(read)
    assert reasons
    assert seconds < MAX_SECONDS
    assert megabytes < MAX_MB


def test_too_many_elements_are_an_implausible_size() -> None:
    for hostile in (
        element(WAVEFORMS, "SQ", EMPTY_ITEMS * 100_000),
        nested(NESTING + 1),
        element(PRIVATE, "LO", b"") * 210_000,
    ):
        with pytest.raises(UnusableEcgError) as caught:
            ecg.decode("ecg.dcm", {"ecg.dcm": dicom(hostile)})
        assert caught.value.finding.reason is Reason.IMPLAUSIBLE_SIZE


def test_real_files_are_far_from_the_limit() -> None:
    """pydicom's ECG holds hundreds of private elements; with ten times as many it is still read."""
    dataset = pydicom.dcmread(SAMPLE)
    for number in range(5000):
        dataset.add_new((0x0099, 0x1000 + number), "LO", "private")
    content = io.BytesIO()
    dataset.save_as(content)
    assert ecg.decode("ecg.dcm", {"ecg.dcm": content.getvalue()}).signal.shape == (12, 10_000)


ANGIOGRAM = xa.compressed(xa.run(), pydicom.uid.ExplicitVRLittleEndian)
PER_FRAME = 0x52009230
AT_PIXELS = ANGIOGRAM.index(b"\xe0\x7f\x10\x00")
AT_PATIENT = ANGIOGRAM.index(b"\x10\x00\x20\x00")
HEADS = {
    "items": (element(PER_FRAME, "SQ", EMPTY_ITEMS * 200_000), AngiogramReason.IMPLAUSIBLE_SIZE),
    "elements": (element(0x53001001, "LO", b"") * 200_000, AngiogramReason.IMPLAUSIBLE_SIZE),
    "elements as of a machine that says much": (element(0x53001001, "LO", b"private ") * 5000, None),
    "times of frames": (element(0x00181065, "DS", b"1\\" * 32_000), AngiogramReason.BROKEN_HEADER),
    "more times than are read": (element(0x00181065, "UT", b"1\\" * 800_000), None),
    "character sets": (element(0x00080005, "UT", b"A\\" * 800_000), AngiogramReason.IMPLAUSIBLE_SIZE),
    "sequences eight deep": (nested(8, PER_FRAME), None),
    "sequences nine deep": (nested(9, PER_FRAME), AngiogramReason.IMPLAUSIBLE_SIZE),
}


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("case", HEADS)
def test_heads_of_angiograms(case: str, whole: bool) -> None:
    added, reason = HEADS[case]
    content = ANGIOGRAM[:AT_PIXELS] + added + ANGIOGRAM[AT_PIXELS:]
    ended: list[AngiogramReason | None] = []

    def read() -> None:
        try:
            read_view(content, whole=whole)
            ended.append(None)
        except UnusableAngiogramError as error:
            ended.append(error.reason)

    seconds, megabytes = cost(read)
    assert ended == [reason]
    assert seconds < MAX_SECONDS
    assert megabytes < MAX_MB


def test_an_angiogram_with_two_patient_numbers_names_none() -> None:
    another = element(0x00100020, "LO", b"P2")
    with pytest.raises(UnusableAngiogramError, match="two patient numbers") as caught:
        read_view(ANGIOGRAM[:AT_PATIENT] + another + ANGIOGRAM[AT_PATIENT:])
    assert caught.value.reason is AngiogramReason.UNREADABLE_PATIENT


def test_a_deflated_file_is_not_inflated() -> None:
    """32 MB of zeros in 52 kB: an angiogram is not inflated at all, an ECG as far as the limits allow."""
    file = xa.dataset(xa.run())
    file.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    file.add_new(PRIVATE, "OB", bytes(2**25))
    content = xa.content(file)
    most_mb = DEFAULT_LIMITS.expansion * len(content) / 2**20
    assert most_mb < 32 / 3

    def read_angiogram() -> None:
        with pytest.raises(UnusableAngiogramError) as error:
            read_view(content)
        assert error.value.reason == AngiogramReason.UNSUPPORTED_PIXELS

    def read_ecg() -> None:
        with pytest.raises(UnusableEcgError) as error:
            ecg.decode("ecg.dcm", {"ecg.dcm": content})
        assert error.value.finding.reason == Reason.IMPLAUSIBLE_SIZE

    assert cost(read_angiogram)[0] + cost(read_ecg)[0] < MAX_SECONDS
    assert allocated(read_angiogram) < 1
    assert allocated(read_ecg) < 2.5 * most_mb  # zlib doubles its buffer


def header(
    rate: str, samples: str, fmt: str = "16", gain: str = "1000/mV", names: tuple[str, ...] = LEADS
) -> bytes:
    lines = [f"a {len(names)} {rate} {samples}"]
    return "\n".join([*lines, *(f"a.dat {fmt} {gain} 16 0 0 0 0 {name}" for name in names)]).encode()


NOISE = np.random.default_rng(3).bytes(2**24)
FLAC_LEADS = ("I", "II", *LEADS[6:])
FORMATS = ("8", "16", "24", "32", "61", "80", "160", "212", "310", "311", "508", "516", "524")
HOSTILE_HEADERS = {
    "empty lines": b"\n" * 2**20,
    "remarks": header("500", "5000") + (b"\n# subject_id" + b" " * 90) * 9000,
    "digits": header("1" * 900_000 + "x", "5000"),
    "digits of a gain": header("500", "5000", gain="1" * 900 + "x"),
    "digits of a length": header("500", "9" * 900),
    "names": header("500", "5000", names=("I" + "(" * 900,) * 64),
    "one long name": header("500", "5000", names=("(" * 900_000,)),
    "brackets in a remark": header("500", "5000") + b"\n# Site: " + b"(" * 900_000,
    **{f"format {fmt}": header("500", "87000", fmt) for fmt in FORMATS},
    **{f"frames of {fmt}": header("500", "1", f"{fmt}x87000") for fmt in FORMATS},
    **{f"skew in {fmt}": header("500", "80000", f"{fmt}:999999999") for fmt in FORMATS},
}


@pytest.mark.parametrize("case", HOSTILE_HEADERS)
def test_wfdb_records(case: str) -> None:
    files = {"a.hea": HOSTILE_HEADERS[case], "a.dat": NOISE}

    details: list[str] = []

    def read() -> None:
        try:
            ecg.decode("a.hea", files)
        except UnusableEcgError as error:
            details.append(error.finding.detail)

    ecg.decode("a.hea", {"a.hea": header("500", "100"), "a.dat": NOISE})  # compiled before the clock runs
    seconds, megabytes = cost(read)
    assert all(len(detail) <= 1000 for detail in details)
    assert seconds < MAX_SECONDS
    assert megabytes < MAX_MB


@pytest.mark.parametrize("announced", ["5000", "524288", "99999999"])
def test_a_flac_file_that_unpacks_to_more_than_its_header_says(announced: str) -> None:
    """Silence of 10 minutes in 40 kB."""
    packed = io.BytesIO()
    soundfile.write(packed, np.zeros((5_000_000, 8), np.int16), 500, format="FLAC", subtype="PCM_16")
    files = {"a.hea": header("500", announced, "516", names=FLAC_LEADS), "a.dat": packed.getvalue()}
    assert len(files["a.dat"]) < 200_000
    ended: list[object] = []

    def read() -> None:
        try:
            ended.append(ecg.decode("a.hea", files).signal.shape)
        except UnusableEcgError as error:
            ended.append(error.finding.reason)

    seconds, megabytes = cost(read)
    assert ended == [Reason.IMPLAUSIBLE_SIZE if announced == "99999999" else (12, int(announced))]
    assert seconds < MAX_SECONDS
    assert megabytes < MAX_MB


def test_leads_in_many_files_are_counted_together() -> None:
    """A header without a length leaves it to each file."""
    lines = ["a 12 500", *(f"{number}.dat 16 1000/mV 16 0 0 0 0 {lead}" for number, lead in enumerate(LEADS))]
    files = {f"{number}.dat": NOISE[: 2**21] for number in range(12)} | {"a.hea": "\n".join(lines).encode()}
    with pytest.raises(UnusableEcgError) as caught:
        ecg.decode("a.hea", files)
    assert caught.value.finding.reason is Reason.IMPLAUSIBLE_SIZE


@pytest.mark.parametrize(
    ("depth", "reason"), [(NESTING, Reason.BROKEN_HEADER), (NESTING + 1, Reason.IMPLAUSIBLE_SIZE)]
)
def test_sequences_within_sequences_are_followed_to_the_limit(depth: int, reason: Reason) -> None:
    """Where they are followed to their end, it is told that there are no samples."""
    with pytest.raises(UnusableEcgError) as caught:
        ecg.decode("ecg.dcm", {"ecg.dcm": dicom(nested(depth))})
    assert caught.value.finding.reason is reason
