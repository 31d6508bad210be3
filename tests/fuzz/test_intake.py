"""Whatever manifests, reports and headers hold: index, score and query end; good neighbours are scored."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from sqlalchemy import Engine, text

from stence import cohort, scoring
from stence.database import queries
from stence.ecg import LEADS
from stence.ingest.merges import import_merges
from stence.objects import LocalStore
from stence.settings import Settings
from support.ecgs import heartbeats
from support.fuzzing import NASTY, mutated_bytes, mutated_cells, mutated_text
from support.identity import listed
from support.models import ShapeScorer, register

ROUNDS = 20
WFDB, DICOM, MANIFESTS, REPORTS, MERGES = 700, 60, 110, 110, 20
"""Spoilt files of a round: 1,000 in all."""
RATE, SECONDS = 250, 4
SIGNAL = heartbeats(1, SECONDS, RATE)
PATIENT_FREE = ("quarantine_by_reason", "worklist", "recent_runs", "unusable_rows")
LISTS = ("flagged_patients", "highest_risk", "quarantine_open", "reviews", *PATIENT_FREE)


FIELDS = {
    "patient": "P1", "age": "64", "sex": "F", "device": "Cardio 200", "site": "Ward 4", "indication": "pain",
    "moment": "08:30:00 01/03/2026", "rate": str(RATE), "samples": str(RATE * SECONDS),
    "gain": "1000.0(0)/mV", "lead": "V6", "format": "16",
}  # fmt: skip
"""What a header says, field by field."""


def header(name: str, **changed: str) -> str:
    """A header, sound but for what is changed."""
    said = FIELDS | changed
    lines = [f"{name} 12 {said['rate']} {said['samples']} {said['moment']}"]
    leads = [*LEADS[:-1], said["lead"]]
    lines += [f"{name}.dat {said['format']} {said['gain']} 16 0 0 0 0 {lead}" for lead in leads]
    lines += [f"# <subject_id>: {said['patient']}", f"# Age: {said['age']}", f"# Sex: {said['sex']}"]
    lines += [f"# {about.title()}: {said[about]}" for about in ("device", "site", "indication")]
    return "\n".join([*lines, ""])


def spoilt_header(rng: random.Random, name: str, patient: str) -> bytes:
    """Two thirds have one or two fields that hold something else; the others are spoilt anywhere."""
    if rng.random() < 0.33:
        return mutated_text(rng, header(name, patient=patient))
    fields = rng.sample(sorted(FIELDS), rng.choice((1, 1, 2)))
    return header(name, **{"patient": patient} | {field: rng.choice(NASTY) for field in fields}).encode()


@pytest.fixture(scope="module")
def dicom() -> bytes:
    """A DICOM ECG without its annotations."""
    dataset = pydicom.dcmread(str(get_testdata_file("waveform_ecg.dcm")))
    dataset.remove_private_tags()
    del dataset.WaveformAnnotationSequence
    dataset.PatientID = "D1"
    return written(dataset)


def written(dataset: pydicom.Dataset) -> bytes:
    from io import BytesIO

    content = BytesIO()
    dataset.save_as(content)
    return content.getvalue()


def put(root: Path, key: str, content: bytes) -> None:
    path = root / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def spoilt_files(rng: random.Random, dicom: bytes) -> Iterator[tuple[str, bytes]]:
    """Keys and contents of a round."""
    for number in range(WFDB):
        name, folder = f"r{number}", f"ecg/{number % 20}"
        signal = SIGNAL.copy()
        signal[:, number] += 7  # each ECG unlike the others, but for every twentieth
        if number % 20 == 0:
            signal = SIGNAL
        yield f"{folder}/{name}.dat", signal.T.astype("<i2").tobytes()
        yield f"{folder}/{name}.hea", spoilt_header(rng, name, f"P{number}")
    for number in range(DICOM):
        yield f"ecg/dicom/{number}.dcm", mutated_bytes(rng, dicom, rng.randint(1, 6))
    for number in range(MANIFESTS):
        rows = [("subject_id", "study_id", "file_name", "ecg_time", "path", "site", "indication")]
        rows += [
            (f"P{n}", "1", "x", "2026-03-01 08:30:00", f"../{n % 20}/r{n}", "Ward 4", "pain")
            for n in rng.sample(range(WFDB), 12)
        ]
        yield f"ecg/m{number}/record_list.csv", spoilt_table(rng, rows)
    for number in range(REPORTS):
        rows = [
            ("study_id", "patient_id", "performed_at", "segment", "degree", "intervention_at", "reported_at")
        ]
        rows += [
            (f"S{number}-{n}", f"P{n}", "2026-03-05T10:00:00", str(1 + n % 16), str(n % 101), "", "")
            for n in rng.sample(range(WFDB), 12)
        ]
        yield f"reports/{number}.csv", spoilt_table(rng, rows)
    for number in range(MERGES):
        rows = [("former_id", "present_id")]
        rows += [(f"P{rng.randrange(WFDB)}", f"P{rng.randrange(WFDB)}") for _ in range(6)]
        yield f"patients/{number}.csv", spoilt_table(rng, rows)


def spoilt_table(rng: random.Random, rows: list[tuple[str, ...]]) -> bytes:
    whole = mutated_cells(rng, rows[1:])
    sound = ",".join(rows[0]) + "\n" + whole
    return sound.encode("utf-8", "replace") if rng.random() < 0.6 else mutated_text(rng, sound)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(ROUNDS))
def test_a_thousand_spoilt_files(
    engine: Engine, settings: Settings, store: LocalStore, dicom: bytes, number: int
) -> None:
    rng, root = random.Random(f"intake {number}"), settings.data_dir / "store"
    kinds = Counter[str]()
    for key, content in spoilt_files(rng, dicom):
        put(root, key, content)
        kinds[key.rpartition(".")[2]] += 1
    assert kinds["hea"] + kinds["dcm"] + kinds["csv"] == 1000
    put(root, "ecg/good/good.hea", header("good", patient="GOOD").encode())
    put(root, "ecg/good/good.dat", heartbeats(99, SECONDS, RATE).T.astype("<i2").tobytes())

    scorer = ShapeScorer(threshold=0)
    register(engine, scorer)
    summary = scoring.index(engine, store, settings)
    with scoring.open_run(engine, store, settings, scorer) as run:
        while run.score():
            pass
    cohort.index_reports(engine, store, settings)
    import_merges(engine, store, settings)

    found = run.summary()
    assert summary.ecgs == WFDB + DICOM + 1
    assert found.indexed == found.scored + found.quarantined
    assert found.pending == 0
    assert "unwritable" not in found.refusals  # whatever is read can be written
    assert found.scored > WFDB // 5  # the spoilt files reach the tables, not only the readers
    assert "GOOD" in listed(engine)
    with engine.connect() as connection:
        for name in LISTS:
            queries.run(connection, name, {"limit": "5000"} if name in LISTS[:4] else {})
        for patient in [*listed(engine)][:50]:
            queries.run(connection, "patient_history", {"patient": patient})
            queries.run(connection, "patient_numbers", {"patient": patient})
        states = connection.execute(text("SELECT DISTINCT state FROM runs")).scalars().all()
    assert states == ["finished"]
