"""``stence convert``: research files hold no identifier of the original, and a bad ECG stops no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pydicom
import pytest
import wfdb
from click.testing import CliRunner, Result
from sqlalchemy import Engine, Row, text

from stence import scoring
from stence.cli import main
from stence.ecg import Recording, read
from stence.ecg.writing import WRITERS, Particulars
from stence.objects import ObjectStore
from stence.settings import Settings
from support.ecgs import heartbeats, store_ecg
from support.environment import set_environment
from support.scoring import give_patients

IDENTIFIERS = {
    "PatientID": "MRN4711",
    "PatientName": "Rourke^Odilia",
    "PatientBirthDate": "19300402",
    "OtherPatientIDs": "OTHER0815",
    "InstitutionName": "Ward Seven",
    "DeviceSerialNumber": "SN99887",
    "Manufacturer": "Maker Inc",
    "ManufacturerModelName": "Model Ten",
    "OperatorsName": "Nurse^Nora",
    "AccessionNumber": "ACC5151",
    "RequestedProcedureDescription": "chest pain in the garden",
}
TIME = "20260301083015"
STATEMENT = "Sinus bradycardia"


@pytest.fixture
def hospital(engine: Engine, store: ObjectStore, settings: Settings) -> None:
    """A DICOM ECG full of identifiers, a WFDB record with its patient in a manifest, and three bad ones."""
    recording = Recording(heartbeats(1).astype(np.float32) / 1000, 500)
    about = Particulars("x", "F", 97, datetime.strptime(TIME, "%Y%m%d%H%M%S"), (STATEMENT,))
    [content] = WRITERS["dicom"]("x", recording, about).values()
    dataset = pydicom.dcmread(BytesIO(content))
    for name, value in IDENTIFIERS.items():
        setattr(dataset, name, value)
    named = BytesIO()
    dataset.save_as(named)
    store.put("ecg/Rourke-4711.dcm", named.getvalue())
    store_ecg(store, "ecg/other.hea", heartbeats(2), comments=("Age: 42", "Sex: M", "Device: Maker SN12345"))
    flat = heartbeats(5)
    flat[7] = 0
    store_ecg(store, "ecg/flat.hea", flat)
    store.put("ecg/broken.hea", b"nonsense")
    store_ecg(store, "ecg/nobody.hea", heartbeats(6))
    give_patients(store, ("MRN0815", "other"), ("MRN0816", "flat"))
    scoring.index(engine, store, settings)


@pytest.fixture
def convert(
    settings: Settings, hospital: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Result]:
    set_environment(monkeypatch, settings)
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, ["convert", *arguments])


class Written(NamedTuple):
    """The files of a folder: names and bytes."""

    names: list[str]
    content: bytes

    def holds(self, text: str) -> bool:
        return text.encode().lower() in "\n".join(self.names).encode().lower() + self.content.lower()


def written(folder: str) -> Written:
    paths = sorted(Path(folder).iterdir())
    return Written([path.name for path in paths], b"".join(path.read_bytes() for path in paths))


BOTH = ("ecg/Rourke-4711.dcm", "ecg/other.hea")


@pytest.mark.parametrize("to", WRITERS)
def test_no_identifier_of_the_original_is_in_any_byte(convert: Callable[..., Result], to: str) -> None:
    said = convert(*BOTH, "--to", to, "--output", "out")
    assert said.exit_code == 0, said.output
    assert "2 of 2 ECGs are in out." in said.output
    found = written("out")
    assert len(found.names) == {"wfdb": 4, "dicom": 2}[to]
    words = [word for value in IDENTIFIERS.values() for word in (value, *value.replace("^", " ").split())]
    times = [TIME, TIME[:8], TIME[8:], "01/03/2026", "2026-03-01"]
    for word in (*words, *times, STATEMENT, "MRN0815", "Rourke-4711", "SN12345", "Maker", "other"):
        if word not in {"in", "the"}:  # too short to mean anything
            assert not found.holds(word), word


@pytest.mark.parametrize("to", WRITERS)
def test_signal_sex_and_age_are_kept(convert: Callable[..., Result], to: str) -> None:
    convert(*BOTH, "--to", to, "--output", "out")
    suffix = {"wfdb": "hea", "dicom": "dcm"}[to]
    again = {path.stem[-6:]: read(path) for path in Path("out").glob(f"*.{suffix}")}
    first, second = again["000001"], again["000002"]
    assert (first.sex, first.age, first.acquired_at) == ("F", 90, None)
    assert (second.sex, second.age, second.acquired_at) == ("M", 42, None)
    np.testing.assert_allclose(first.signal, heartbeats(1) / 1000, atol=1e-6)
    np.testing.assert_allclose(second.signal, heartbeats(2) / 1000, atol=1e-6)
    assert first.patient_id != second.patient_id


def test_times_and_statements_are_kept_on_request(convert: Callable[..., Result]) -> None:
    said = convert(*BOTH, "--to", "wfdb", "--output", "out", "--with-times", "--with-statements")
    assert said.exit_code == 0, said.output
    [first, second] = (
        wfdb.rdheader(str(path.with_suffix(""))) for path in sorted(Path("out").glob("*.hea"), key=number)
    )
    assert first.base_datetime == datetime(2026, 3, 1, 8, 30, 15)
    assert second.base_datetime == datetime(2026, 3, 1, 8, 30)
    assert f"Statement: {STATEMENT}" in first.comments


def number(path: Path) -> str:
    return path.stem[-6:]


def test_a_pseudonym_stays_and_is_one_even_where_exports_hold_the_hospitals_numbers(
    convert: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    convert(*BOTH, "--to", "wfdb", "--output", "first")
    monkeypatch.setenv("STENCE_PATIENT_SYSTEM", "https://hospital.example/patients")
    assert convert(*BOTH, "--to", "wfdb", "--output", "second").exit_code == 0
    assert written("first").names == written("second").names


def test_bad_ecgs_are_told_with_their_reason_and_stop_no_other(convert: Callable[..., Result]) -> None:
    bad = {"flat": "flat_lead", "broken": "broken_header", "nobody": "unknown_patient"}
    keys = [f"ecg/{name}.hea" for name in bad]
    said = convert("ecg/gone.hea", "../etc/passwd", *keys, *BOTH, "--to", "dicom", "--output", "out")
    assert said.exit_code == 1
    assert "2 of 7 ECGs are in out." in said.output
    for name, reason in {**bad, "gone": "object_missing", "../etc/passwd": ""}.items():
        assert any(name in line and reason in line for line in said.output.splitlines()), name
    assert len(written("out").names) == 2


def test_the_audit_tells_what_was_asked_for_and_names_no_file(
    convert: Callable[..., Result], engine: Engine
) -> None:
    convert(*BOTH, "--to", "wfdb", "--output", "out", "--with-times")
    [told] = exports(engine)
    assert (told.subject, told.reason) == ("wfdb", "stence convert")
    assert told.detail == {"ecgs": 2, "with_times": True, "with_statements": False}


def test_the_audit_tells_of_an_export_that_is_killed(
    convert: Callable[..., Result], engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(path: Path, content: bytes) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("stence.export.research.write_whole", killed)
    assert convert(*BOTH, "--to", "wfdb", "--output", "out").exit_code != 0
    assert len(exports(engine)) == 1


def exports(engine: Engine) -> Sequence[Row[Any]]:
    read = "SELECT subject, reason, detail FROM audit.entries WHERE action = 'ecgs.exported'"
    with engine.connect() as connection:
        return connection.execute(text(read)).all()


def test_a_folder_with_files_is_left_alone(convert: Callable[..., Result]) -> None:
    Path("out").mkdir()
    Path("out/mine.txt").write_text("mine")
    said = convert(*BOTH, "--to", "wfdb", "--output", "out")
    assert said.exit_code == 1
    assert "out is not empty" in said.output
    assert written("out").names == ["mine.txt"]
