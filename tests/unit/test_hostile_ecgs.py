"""Whose an ECG is, from when and of what age: certain, or said to be uncertain; and texts fit for a table."""

from __future__ import annotations

import copy
import math
from datetime import UTC, datetime, timedelta, timezone
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from stence import ecg
from stence.domain.patients import PatientIdError
from stence.ecg import LEADS, Finding, Reason, Recording, UnusableEcgError
from support.hostile import SAMPLE, element

SAMPLES = np.random.default_rng(5).integers(-900, 900, (1000, 12)).astype("<i2")
OLD_PATIENT = b"642341"
"""Of pydicom's sample ECG."""


def wfdb(comment: bytes = b"", record_line: str = "a 12 250 1000") -> dict[str, bytes]:
    lines = [record_line, *(f"a.dat 16 1000/mV 16 0 0 0 0 {lead}" for lead in LEADS)]
    return {"a.hea": "\n".join(lines).encode() + b"\n" + comment, "a.dat": SAMPLES.tobytes()}


def decoded(files: dict[str, bytes]) -> Recording:
    return ecg.decode(next(iter(files)), files)


def refused(files: dict[str, bytes]) -> Finding:
    with pytest.raises(UnusableEcgError) as caught:
        decoded(files)
    return caught.value.finding


def dicom(**values: object) -> dict[str, bytes]:
    dataset: Dataset = copy.deepcopy(pydicom.dcmread(SAMPLE))
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    content = BytesIO()
    dataset.save_as(content)
    return {"a.dcm": content.getvalue()}


def dicom_with_patient(number: bytes, charset: str | None = None, vr: str = "LO") -> dict[str, bytes]:
    """pydicom's ECG with these bytes as its patient number."""
    content = dicom(SpecificCharacterSet=charset)["a.dcm"]
    old = element(0x00100020, "LO", OLD_PATIENT)
    assert content.count(old) == 1
    return {"a.dcm": content.replace(old, element(0x00100020, vr, number + b" " * (len(number) % 2)))}


@pytest.mark.parametrize(
    ("comment", "patient"),
    [
        (b"# <subject_id>: 10000032", "10000032"),
        (b"# subject_id 10000032", "10000032"),
        (b"#MRN:  P 1 ", "P 1"),  # not P, as which P 1 and P 2 would be one
        ("# subject_id: J\u00f6rg".encode(), "J\u00f6rg"),
        ("# subject_id: Jo\u0308rg".encode(), "J\u00f6rg"),
        (b"# subject_id: 17\0\0", "17"),
        (b"# subject_id: 17\r\n# subject_id: 17\r\n", "17"),
        (b"# subject_id: UNKNOWN\n# mrn: 18", "18"),
        (b"# subject_id: 0000000", None),
        (b"# subject_id:   ", None),
        (b"# mrn: TEST", None),
        (b"# mrn is written on the paper", None),
    ],
)
def test_patient_numbers_in_wfdb(comment: bytes, patient: str | None) -> None:
    assert decoded(wfdb(comment)).patient_id == patient


@pytest.mark.parametrize(
    "comment",
    [
        b"# subject_id: BAD\0PAT",
        b"# subject_id: J\xf6rg",
        b"# subject_id: J\xf6rg \xc3\xb6",
        "# subject_id: P\ufffd1".encode(),
        b"# subject_id: WARD\\12345",
        b"# subject_id: " + b"9" * 65,
        b"# subject_id: " + b"9" * 900_000,
        b"# subject_id: 12\x1b[2J34",
        "# subject_id: P1\u0085P2".encode(),  # which str.splitlines would cut
        b"# subject_id: P1\x1cP2",
        "# subject_id: 12\u202e34".encode(),
        b"# subject_id: 17\n# subject_id: 18",
        b"# mrn: 17\n# MRN 18",
    ],
)
def test_unreadable_patient_numbers_in_wfdb(comment: bytes) -> None:
    finding = refused(wfdb(comment))
    assert finding.reason is Reason.UNREADABLE_PATIENT
    assert not any(part in finding.detail for part in ("BAD", "rg", "WARD", "17", "P1"))


@pytest.mark.parametrize(
    ("number", "charset", "patient"),
    [
        (b"12345\0", None, "12345"),
        (b"  12 345", None, "12 345"),
        (b"0012", None, "0012"),
        (("\U0001d7ce" * 63 + "\U0001d7d0").encode(), "ISO_IR 192", "\U0001d7ce" * 63 + "\U0001d7d0"),
        ("J\u00f6rg".encode("latin-1"), "ISO_IR 100", "J\u00f6rg"),
        ("J\u00f6rg".encode(), "ISO_IR 192", "J\u00f6rg"),
        ("\u5c71\u7530".encode("gb18030"), "GB18030", "\u5c71\u7530"),
        (b"\x1b$B;3ED\x1b(B1", "\\ISO 2022 IR 87", "\u5c71\u75301"),
        (b"\x01\x02", None, None),
        (b"0000000", None, None),
        (b"UNKNOWN", None, None),
        (b"   ", None, None),
        (b"", None, None),
    ],
)
def test_patient_numbers_in_dicom(number: bytes, charset: str | None, patient: str | None) -> None:
    assert decoded(dicom_with_patient(number, charset)).patient_id == patient


@pytest.mark.parametrize(
    ("number", "charset", "vr"),
    [
        (b"1234\0DEF", None, "LO"),
        (b"WARD\\12345", None, "LO"),
        (b"A\\B\\C", None, "LO"),
        (b"9" * 9000, None, "LO"),
        (b"9" * 65, None, "LO"),
        ("J\u00f6rg".encode(), None, "LO"),  # no character set: ASCII alone
        ("J\u00f6rg".encode("latin-1"), None, "LO"),
        ("J\u00f6rg".encode("latin-1"), "ISO_IR 192", "LO"),
        (b"P\xff1", "ISO_IR 192", "LO"),
        (b"J\xf6rg", "ISO_IR 999", "LO"),
        (b"J\xf6rg", "latin-1", "LO"),  # Python's name of it, not DICOM's
        (b"\x1b$B;3ED", None, "LO"),
        (b"\x1b$Z;3ED", "\\ISO 2022 IR 87", "LO"),
        (b"\xb1\x5c1", "ISO_IR 13", "LO"),
        (b"\x01A", None, "US"),
        (b"12\x1b[2J", None, "LO"),
        (b"12\r\n34", None, "LO"),
    ],
)
def test_unreadable_patient_numbers_in_dicom(number: bytes, charset: str | None, vr: str) -> None:
    finding = refused(dicom_with_patient(number, charset, vr))
    assert finding.reason is Reason.UNREADABLE_PATIENT
    assert "WARD" not in finding.detail


def test_a_dicom_file_with_two_patient_numbers_names_none() -> None:
    """pydicom takes the last."""
    content = dicom()["a.dcm"]
    old = element(0x00100020, "LO", OLD_PATIENT)
    finding = refused({"a.dcm": content.replace(old, old + element(0x00100020, "LO", b"642342"))})
    assert finding.reason is Reason.UNREADABLE_PATIENT


@pytest.mark.parametrize(
    "moment",
    ["01/01/0001", "31/12/9999", "01/01/1800", "01/01/1900", "01/01/1970", "01/01/2099", "00/00/0000"],
)
def test_times_that_nobody_can_mean_are_none(moment: str) -> None:
    assert decoded(wfdb(record_line=f"a 12 250 1000 10:00:00 {moment}")).acquired_at is None


@pytest.mark.parametrize(
    ("age", "years"),
    [("999", None), ("300", None), ("-1", None), ("nan", None), ("inf", None), ("1e400", None), ("130", 130)],
)
def test_ages_that_nobody_can_have_are_none(age: str, years: float | None) -> None:
    assert decoded(wfdb(f"# age: {age}".encode())).age == years


def recording(**particulars: object) -> Recording:
    return Recording(np.zeros((12, 10), np.float32), 500.0, **particulars)  # type: ignore[arg-type]


def test_whatever_a_reader_says_a_recording_can_be_written() -> None:
    made = recording(
        device="a\0b\x1b[2J", site="x" * 10_000, indication="\r\n \0", age=math.nan, patient_id=" 7\0"
    )
    assert (made.device, made.site, made.indication, made.age) == ("ab[2J", "x" * 200, None, None)
    assert made.patient_id == "7"
    for moment in (datetime.min, datetime.max, datetime.max.replace(tzinfo=timezone(timedelta(hours=-12)))):
        assert recording(acquired_at=moment).acquired_at is None
    assert recording(acquired_at=datetime(2026, 3, 1, tzinfo=UTC)).acquired_at == datetime(
        2026, 3, 1, tzinfo=UTC
    )
    with pytest.raises(PatientIdError):
        recording(patient_id="A\\B")


@pytest.mark.parametrize(
    ("value", "kept"), [(int("9" * 400), None), (math.inf, None), (math.nan, None), (7, 7.0), (None, None)]
)
def test_whatever_a_reader_says_a_finding_can_be_written(value: float | None, kept: float | None) -> None:
    finding = Finding(Reason.TRUNCATED, "a\0b\x1b[31m\ud800\u202e" + "x" * 10_000, "V1\0" + "V" * 90, value)
    assert finding.value == kept
    assert finding.detail.startswith("ab[31mx")
    assert len(finding.detail) == 1000
    assert finding.lead == "V1" + "V" * 14
    assert Finding(Reason.TRUNCATED, "\0").detail == "truncated"


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (wfdb(record_line="a 12 500 " + "9" * 400), Reason.IMPLAUSIBLE_SIZE),
        (wfdb(record_line="a " + "9" * 400 + " 500 1000"), Reason.IMPLAUSIBLE_SIZE),
        (wfdb(record_line="a 12 500 " + "9" * 4400), Reason.BROKEN_HEADER),
        (wfdb(record_line="a 12 1e999 1000"), Reason.BROKEN_HEADER),
        (
            {
                "a.hea": wfdb()["a.hea"].replace(b"/mV", b"/fur\0long").replace(b" I\n", b" I (\0)\n"),
                "a.dat": b"",
            },
            None,
        ),
    ],
)
def test_numbers_and_texts_of_headers_can_be_written(files: dict[str, bytes], reason: Reason | None) -> None:
    finding = refused(files)
    assert reason in (None, finding.reason)
    assert finding.value is None or math.isfinite(finding.value)
    assert finding.detail.isprintable()
    assert len(finding.detail) <= 1000


CASES = {
    "hostile/wfdb_pat_nul/pat_nul.hea": Reason.UNREADABLE_PATIENT,
    "hostile/dcm_pat_nul/pat_nul.dcm": Reason.UNREADABLE_PATIENT,
    "hostile/dcm_pat_long/pat_long.dcm": Reason.UNREADABLE_PATIENT,
    "hostile/dcm_pat_multi/pat_multi.dcm": Reason.UNREADABLE_PATIENT,
    "hostile/dcm_charset_badutf8/charset_badutf8.dcm": Reason.UNREADABLE_PATIENT,
    "hostile/dcm_redos_label/redos_label.dcm": Reason.MISSING_LEADS,
    "hostile/wfdb_lead_nul_unit/lead_nul_unit.hea": Reason.MISSING_LEADS,
    "hostile/wfdb_samples400digits/samples400digits.hea": Reason.IMPLAUSIBLE_SIZE,
    "intake/07-nul-inside-patient-id/store/ecg/1.dcm": Reason.UNREADABLE_PATIENT,
    "intake/16-right-sided-lead-named-V4(R)/store/ecg/1.dcm": Reason.MISSING_LEADS,
    "intake/17-patient-id-with-backslash/store/ecg/1.dcm": Reason.UNREADABLE_PATIENT,
    "ecg/layout/3269321_layout.hea": Reason.UNSUPPORTED_FORMAT,
}


@pytest.mark.shared
@pytest.mark.parametrize("case", CASES)
def test_found_cases_are_refused(shared: Path, case: str) -> None:
    with pytest.raises(UnusableEcgError) as caught:
        ecg.read(shared / "findings" / case)
    finding = caught.value.finding
    assert finding.reason is CASES[case]
    assert finding.detail.isprintable()
    assert finding.value is None or math.isfinite(finding.value)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("case", "time", "age"),
    [
        ("hostile/dcm_date_bc/date_bc.dcm", None, 94),
        ("intake/05-placeholder-times-file/store/ecg/0.hea", None, None),
        ("intake/05-placeholder-times-file/store/ecg/1.dcm", None, None),
        ("intake/20-age-999/store/ecg/1.dcm", datetime(2026, 3, 1, 8, 30), None),
        ("intake/21-dicom-date-and-time-apart/store/ecg/1.dcm", datetime(2026, 3, 1, 8, 30), None),
    ],
)
def test_found_cases_are_read(shared: Path, case: str, time: datetime | None, age: float | None) -> None:
    found = ecg.read(shared / "findings" / case)
    assert (found.acquired_at, found.age) == (time, age)


@pytest.mark.shared
def test_format_61_is_format_16(shared: Path) -> None:
    folder = shared / "findings/ecg/format-61"
    assert ecg.read(folder / "f61.hea").content_hash == ecg.read(folder / "same_in_16.hea").content_hash


@pytest.mark.parametrize("options", ["", "x2", ":3", "+24", "x2:1+7"])
def test_big_endian_samples_equal_little_endian_ones(options: str) -> None:
    """Also where the fast path cannot read them: several samples a frame, skew, an odd beginning."""
    offset = int(options.partition("+")[2] or 0)
    record = wfdb(record_line=f"a 12 250 {400 if 'x2' in options else 990}")
    little = {
        "a.hea": record["a.hea"].replace(b".dat 16 ", f".dat 16{options} ".encode()),
        "a.dat": bytes(offset) + record["a.dat"],
    }
    big = {
        "a.hea": little["a.hea"].replace(b".dat 16", b".dat 61"),
        "a.dat": bytes(offset) + SAMPLES.astype(">i2").tobytes(),
    }
    assert decoded(big).content_hash == decoded(little).content_hash


def test_a_layout_or_a_gap_of_a_record_of_segments_is_told() -> None:
    for record_line, line in (
        ("a_layout 12 500 0", "~ 0 200/mV 8 0 0 0 0"),
        ("a 12 500 1000", "~ 16 1/mV 8 0 0 0 0"),
    ):
        lines = [record_line, *(f"{line} {lead}" for lead in LEADS)]
        finding = refused({"a.hea": "\n".join(lines).encode()})
        assert finding.reason is Reason.UNSUPPORTED_FORMAT
        assert "several segments" in finding.detail
