"""SCP-ECG: every kind of compression gives the same signal, and what contradicts itself is refused."""

from __future__ import annotations

import struct
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from stence import ecg
from stence.ecg import Reason, UnusableEcgError
from stence.ecg.formats import Limits
from support import scp
from support.ecgs import heartbeats

STEPS = heartbeats(3) // 2
"""Steps of 2500 nV."""
MILLIVOLTS = (STEPS * 0.0025).astype(np.float32)
ALL, EIGHT = list(range(12)), [0, 1, 6, 7, 8, 9, 10, 11]
CODES = [scp.CODES[lead] for lead in ecg.LEADS]
OWN = (
    (
        scp.Line("1"),
        scp.Line("011", value=1),
        scp.Line("010", value=-1),
        scp.Line("001", 5),
        scp.Line("000", table=1),
    ),
    (scp.Line("0", 16), scp.Line("10", table=0)),
)
"""Two tables; the second is for all that needs more than five bits."""
TABLES = {"raw": None, "default": (scp.DEFAULT,), "own": OWN}
REFERENCE = np.random.default_rng(1).integers(-300, 300, (12, 300))
PLACES = [(0, 50, 120, 250), (1, 400, 480, 640), (0, 700, 800, 905), (0, 4800, 4900, 5000)]


def file(rows: list[int] = ALL, **changes: object) -> scp.Scp:
    plain = scp.Scp(STEPS[rows], [CODES[row] for row in rows], tags=[(2, b"P1\0")])
    return replace(plain, **changes)


def decoded(content: bytes, limits: Limits | None = None) -> ecg.Recording:
    return ecg.decode("any.bin", {"any.bin": content}, *([limits] if limits else []))


def reason_of(content: bytes) -> Reason:
    with pytest.raises(UnusableEcgError) as caught:
        decoded(content)
    return caught.value.finding.reason


@pytest.mark.parametrize("rows", [ALL, EIGHT], ids=["12", "8"])
@pytest.mark.parametrize("tables", TABLES)
@pytest.mark.parametrize("differences", [0, 1, 2])
@pytest.mark.parametrize("subtracted", [False, True])
def test_every_compression_gives_the_same_signal(
    rows: list[int], tables: str, differences: int, subtracted: bool
):
    beats = scp.Beats(REFERENCE[rows], 100, PLACES) if subtracted else None
    content = file(rows, tables=TABLES[tables], differences=differences, beats=beats).encoded()
    recording = decoded(content)
    assert recording.format == "SCP-ECG"
    assert recording.sampling_rate == 500
    np.testing.assert_allclose(recording.signal, MILLIVOLTS, atol=0.004)  # derived leads, from rounded ones
    assert np.abs(recording.signal - MILLIVOLTS)[rows].max() < 1e-6


@pytest.mark.parametrize("subtracted", [False, True])
@pytest.mark.parametrize("tables", TABLES)
def test_another_reader_agrees(tables: str, subtracted: bool, tmp_path: Path):
    beats = scp.Beats(REFERENCE, 100, PLACES) if subtracted else None
    path = tmp_path / "ecg.scp"
    path.write_bytes(file(tables=TABLES[tables], differences=2, beats=beats).encoded())
    assert_equals_ecgdatakit(path)


def assert_equals_ecgdatakit(path: Path) -> None:
    parser = pytest.importorskip("ecgdatakit.parsing.parsers.scp_ecg")
    theirs = {lead.label: lead.samples * lead.resolution for lead in parser.SCPECGParser().parse(path).leads}
    ours = dict(zip(ecg.LEADS, ecg.read(path).signal, strict=True))
    assert theirs.keys() == ours.keys()
    for lead, microvolts in theirs.items():
        np.testing.assert_allclose(ours[lead], microvolts / 1000, atol=1e-6)


@pytest.mark.shared
def test_the_real_file(shared: Path):
    path = shared / "data" / "scp" / "Example.scp"
    assert_equals_ecgdatakit(path)
    recording = ecg.read(path)
    one, two, three, right, left, foot = recording.signal[:6]
    assert np.abs(one + three - two).max() < 1e-6  # stored, not derived: a check that the file brings
    for stored, derived in ((right, -(one + two) / 2), (left, one - two / 2), (foot, two - one / 2)):
        assert np.abs(stored - derived).max() < 0.00126
    assert recording.patient_id == "SBJ-123"
    assert recording.acquired_at == datetime(2002, 11, 22, 9, 10)
    assert (recording.sex, recording.device) == ("M", "ECGConversion ELI250")
    assert recording.age == pytest.approx(49.54, abs=0.01)
    assert recording.device_serial is None
    assert dict(recording.measurements) == {
        **{"p_ms": 102, "pr_ms": 148, "qrs_ms": 120, "qt_ms": 420, "qtc_ms": 443},
        **{"p_axis": 44, "qrs_axis": -61, "t_axis": 86},
    }


@pytest.mark.shared
def test_the_encoder_writes_what_a_real_device_wrote(shared: Path):
    content = (shared / "data" / "scp" / "Example.scp").read_bytes()
    signal = ecg.read(shared / "data" / "scp" / "Example.scp").signal
    order = [0, 1, *range(6, 12), 2, 3, 4, 5]
    steps = np.round(signal[order] / 0.0025).astype(int)
    again = scp.Scp(steps, [CODES[row] for row in order], tables=(scp.DEFAULT,), differences=2, protocol=20)
    assert scp.section(6, again.sections()[6], 20)[16:] == content[3818 + 16 : 3818 + 30084]


def test_particulars():
    tags = [
        *((2, b" A-7 \0"), (0, b"Name\0"), (5, struct.pack("<HBB", 1960, 5, 1)), (8, b"\2")),
        *((13, b"chest pain\0"), (14, scp.device(language=1)), (16, b"Klinik S\xfcd\0")),
        *(
            (25, struct.pack("<HBB", 2020, 5, 1)),
            (26, bytes([13, 5, 9])),
            (34, struct.pack("<hH", 120, 0) + b"\0"),
        ),
        *((27, struct.pack("<H", 5)), (28, struct.pack("<H", 150)), (29, b"\2")),
    ]
    recording = decoded(file(tags=tags).encoded())
    assert recording.patient_id == "A-7"
    assert recording.acquired_at == datetime(2020, 5, 1, 13, 5, 9, tzinfo=timezone(timedelta(hours=2)))
    assert (recording.sex, recording.age) == ("F", pytest.approx(60, abs=0.01))
    assert (recording.site, recording.indication) == ("Klinik Süd", "chest pain")
    assert (recording.device, recording.device_serial) == ("Acme CART", "SN1")
    assert recording.filters == "0.05 to 150 Hz, notch 50 Hz"


@pytest.mark.parametrize(
    ("minutes", "zone"), [(0x7FFF, None), (0, UTC), (-90, timezone(timedelta(minutes=-90)))]
)
def test_time_zone(minutes: int, zone: timezone | None):
    tags = [(25, struct.pack("<HBB", 2020, 5, 1)), (26, b"\1\2\3"), (34, struct.pack("<hH", minutes, 0))]
    moment = decoded(file(tags=tags).encoded()).acquired_at
    assert moment is not None
    assert moment.tzinfo == zone


@pytest.mark.parametrize(
    ("value", "unit", "years"), [(61, 1, 61), (18, 2, 1.5), (365, 4, 1), (0, 0, None), (9, 9, None)]
)
def test_age(value: int, unit: int, years: float | None):
    age = decoded(file(tags=[(4, struct.pack("<HB", value, unit))]).encoded()).age
    assert age == (years if years is None else pytest.approx(years, rel=0.01))


@pytest.mark.parametrize(
    "tags",
    [
        [(2, b"P1\0"), (2, b"P2\0")],
        [(2, b"P\xe4\0")],
        [(2, b"P\xe4\0"), (14, scp.device(language=0x37))],
        [(2, b"P1\0"), (14, scp.device(language=0x07))],
        [(2, b"P" * 2000)],
    ],
    ids=["two", "undeclared", "not UTF-8", "two-byte code", "long"],
)
def test_an_uncertain_patient_is_refused(tags: list[tuple[int, bytes]]):
    assert reason_of(file(tags=tags).encoded()) == Reason.UNREADABLE_PATIENT


def test_a_declared_character_set_is_used():
    tags = [(2, "Pä".encode("latin-1")), (14, scp.device(language=1))]
    assert decoded(file(tags=tags).encoded()).patient_id == "Pä"


def test_results():
    waves = struct.pack("<BBHH", 1, 1, 800, 29999) + struct.pack(
        "<5H3h", 10, 110, 170, 260, 560, 50, -30, 999
    )
    spikes, types = bytes(10), struct.pack("<HBB", 2, 0, 0)
    results = waves + spikes + types + struct.pack("<3HB", 75, 29999, 410, 1)
    texts = [b"SINUS RHYTHM\0", b"NORMAL\0ECG\0"]
    said = (
        bytes(8)
        + bytes([2])
        + b"".join(struct.pack("<BH", number, len(line)) + line for number, line in enumerate(texts, 1))
    )
    recording = decoded(file(more={7: results, 8: said}).encoded())
    assert dict(recording.measurements) == {
        **{"rr_ms": 800, "p_ms": 100, "pr_ms": 160, "qrs_ms": 90, "p_axis": 50, "qrs_axis": -30},
        **{"heart_rate": 75, "qt_ms": 390, "qtc_ms": 410},
    }
    assert recording.statements == ("SINUS RHYTHM", "NORMAL ECG")


def test_times_that_are_not_known_are_no_measurements():
    """999 is an axis that is not known, and at 60 beats a minute a good time between two."""
    waves = struct.pack("<BBHH", 1, 0, 999, 29999) + struct.pack(
        "<5H3h", 29999, 29999, 29999, 29999, 1029, 999, 999, 29999
    )
    recording = decoded(file(more={7: waves + struct.pack("<H3H", 0, 29999, 29999, 29999)}).encoded())
    assert dict(recording.measurements) == {"rr_ms": 999}


def test_universal_statements_where_there_are_no_texts():
    said = bytes(8) + b"\2" + b"\1\5\0\1SR\0\0" + b"\2\5\0\3AND\0"
    assert decoded(file(more={11: said}).encoded()).statements == ("SR",)


def test_results_that_end_too_early_do_not_cost_the_ecg():
    recording = decoded(file(more={7: struct.pack("<BBHH", 9, 9, 800, 0), 8: bytes(8) + b"\xff\1"}).encoded())
    assert dict(recording.measurements) == {"rr_ms": 800}


def test_leads_of_other_spans_are_nan_outside():
    recording = decoded(file(starts=[1] * 6 + [11] * 6).encoded())
    assert recording.signal.shape == (12, 5010)
    assert np.isnan(recording.signal[6:, :10]).all()
    assert np.isnan(recording.signal[:6, -10:]).all()
    np.testing.assert_allclose(recording.signal[6:, 10:], MILLIVOLTS[6:], atol=1e-6)


def test_sums_wrap_at_16_bits_as_in_the_encoder():
    steps = np.where(np.arange(5000) % 2, 30000, -30000) * np.ones((12, 1), int)
    content = file(signal=steps, tables=(scp.DEFAULT,), differences=2).encoded()
    np.testing.assert_allclose(decoded(content).signal, steps * 0.0025, rtol=1e-6)


@pytest.mark.parametrize("at", [0, 40, 400, 5000, -1])
def test_any_changed_byte_is_found(at: int):
    content = bytearray(file().encoded())
    content[at] ^= 1
    assert reason_of(bytes(content)) == Reason.CHECKSUM_MISMATCH


def test_a_changed_section_is_found_under_a_right_file_checksum():
    content = bytearray(file().encoded())
    content[-1] ^= 1
    assert reason_of(scp.checked(bytes(content[2:]))) == Reason.CHECKSUM_MISMATCH


def repointed(
    number: int, length: int | None = None, start: int | None = None, name: int | None = None
) -> bytes:
    """The file with another pointer to a section, and right checksums."""
    content = bytearray(file().encoded())
    at = 22 + 10 * number
    old = struct.unpack_from("<HII", content, at)
    new = [
        value if value is not None else before
        for value, before in zip((name, length, start), old, strict=True)
    ]
    struct.pack_into("<HII", content, at, *new)
    head = struct.unpack_from("<I", content, 10)[0]
    content[6 : 6 + head] = scp.checked(bytes(content[8 : 6 + head]))
    return scp.checked(bytes(content[2:]))


@pytest.mark.parametrize(
    "change",
    [
        {"start": 2**32 - 1},
        {"start": 0},
        {"start": 7},
        {"length": 2**31},
        {"length": 20},
        {"length": 8},
        {"name": 3},
    ],
    ids=str,
)
def test_pointers_that_lie_are_refused(change: dict[str, int]):
    assert reason_of(repointed(6, **change)) == Reason.BROKEN_HEADER


def own_section(number: int, body: bytes, **changes: object) -> bytes:
    return scp.record(file(**changes).sections() | {number: body})


def table(*lines: tuple[int, int, int, int, int]) -> bytes:
    return struct.pack("<HH", 1, len(lines)) + b"".join(struct.pack("<BBBhI", *line) for line in lines)


def lead_lines(first: int, last: int) -> bytes:
    return b"\x0c\x64" + b"".join(struct.pack("<IIB", first, last, code) for code in CODES)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (own_section(3, lead_lines(1, 5001)), Reason.TRUNCATED),
        (own_section(3, lead_lines(1, 5001), tables=(scp.DEFAULT,)), Reason.TRUNCATED),
        (own_section(3, lead_lines(1, 2**22), tables=(scp.DEFAULT,)), Reason.IMPLAUSIBLE_SIZE),
        (own_section(3, lead_lines(1, 300_000), tables=(scp.DEFAULT,)), Reason.TRUNCATED),
        (own_section(3, lead_lines(0, 5000)), Reason.BROKEN_HEADER),
        (own_section(3, lead_lines(9, 8)), Reason.BROKEN_HEADER),
        (own_section(3, b"\xff\x04"), Reason.IMPLAUSIBLE_SIZE),
        (own_section(3, b"\x0c\x64"), Reason.TRUNCATED),
        (file(leads=[1] * 12).encoded(), Reason.DOUBLED_LEAD),
        (file(leads=[*CODES[:11], 99]).encoded(), Reason.MISSING_LEADS),
        (file(flags=3 << 3).encoded(), Reason.UNSUPPORTED_FORMAT),
        (file(step=0).encoded(), Reason.UNKNOWN_UNIT),
        (file(interval=0).encoded(), Reason.BROKEN_HEADER),
        (file(bimodal=1).encoded(), Reason.UNSUPPORTED_FORMAT),
        (own_section(6, struct.pack("<HHBB", 2500, 2000, 3, 0) + bytes(24)), Reason.UNSUPPORTED_FORMAT),
        (own_section(6, struct.pack("<HHBB12H", 2500, 2000, 0, 0, *[60000] * 12)), Reason.TRUNCATED),
        (file(flags=0x65).encoded(), Reason.BROKEN_HEADER),
        (own_section(2, table((1, 1, 1, 0, 1)), tables=(scp.DEFAULT,)), Reason.BROKEN_SIGNAL),
        (own_section(2, table((1, 1, 1, 0, 0), (2, 2, 1, 1, 2))), Reason.BROKEN_HEADER),
        (own_section(2, table((1, 1, 1, 0, 0), (1, 1, 1, 1, 0))), Reason.BROKEN_HEADER),
        (own_section(2, table((0, 1, 1, 0, 0))), Reason.BROKEN_HEADER),
        (own_section(2, table((33, 33, 1, 0, 0))), Reason.BROKEN_HEADER),
        (own_section(2, table((1, 26, 1, 0, 0))), Reason.BROKEN_HEADER),
        (own_section(2, table((1, 1, 0, 2, 0))), Reason.BROKEN_HEADER),
        (own_section(2, table((1, 9, 1, 5, 0))), Reason.UNSUPPORTED_FORMAT),
        (own_section(2, b"\0\0"), Reason.BROKEN_HEADER),
        (own_section(2, b"\xff\xff\xff\xff" + bytes(60000)), Reason.IMPLAUSIBLE_SIZE),
        (own_section(1, b"\x02\xff\xff"), Reason.TRUNCATED),
        (own_section(1, b"\x03\0\0" * 1025), Reason.IMPLAUSIBLE_SIZE),
        (scp.record({1: b"\xff\0\0", 12: bytes(40)}), Reason.UNSUPPORTED_FORMAT),
        (scp.record({1: b"\xff\0\0"}), Reason.MISSING_LEADS),
        (file().encoded()[:-1], Reason.TRUNCATED),
    ],
)
def test_contradictions_are_refused(content: bytes, reason: Reason):
    assert reason_of(content) == reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"interval": 1000}, Reason.UNSUPPORTED_FORMAT), ({"places": PLACES * 1025}, Reason.IMPLAUSIBLE_SIZE)],
)
def test_reference_beats_that_cannot_be_added(change: dict[str, object], reason: Reason):
    beats = scp.Beats(REFERENCE[:, :20], 10, PLACES)
    content = file(beats=beats).sections()
    wrong = file(beats=replace(beats, **change)) if "interval" in change else None
    places = struct.pack("<HHH", 40, 10, 4100) + struct.pack("<HIII", *PLACES[0]) * 4100
    changed = {5: wrong.sections()[5]} if wrong else {4: places}
    assert reason_of(scp.record(content | changed)) == reason


def test_reference_beat_of_another_amplitude_step():
    beats = scp.Beats(REFERENCE, 100, PLACES, step=5000)
    recording = decoded(file(beats=beats).encoded())
    np.testing.assert_allclose(recording.signal, MILLIVOLTS, atol=1e-6)


def test_version_3_reserves_the_flag_of_bimodal_compression():
    recording = decoded(file(bimodal=1, protocol=30).encoded())
    np.testing.assert_allclose(recording.signal, MILLIVOLTS, atol=1e-6)


@pytest.mark.parametrize(("inner", "pointer"), [(8, 8), (7, 8)], ids=["overlap", "twice"])
def test_a_section_inside_another_is_refused(inner: int, pointer: int):
    """Both sections have right checksums, and the file has too."""
    part = scp.section(inner, bytes(8) + b"\0\0", 20)
    outer = {7: bytes(6) + part} if inner != 7 else {9: part}
    content = bytearray(file(more=outer).encoded())
    start = bytes(content).index(part) + 1
    struct.pack_into("<HII", content, 22 + 10 * pointer, inner, len(part), start)
    if inner == 7:
        struct.pack_into("<HII", content, 22 + 70, 7, len(part), start)
    head = struct.unpack_from("<I", content, 10)[0]
    content[6 : 6 + head] = scp.checked(bytes(content[8 : 6 + head]))
    assert reason_of(scp.checked(bytes(content[2:]))) == Reason.BROKEN_HEADER
