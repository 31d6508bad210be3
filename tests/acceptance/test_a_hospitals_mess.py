"""Every broken input at once among a thousand good ECGs: one run, the right patients; then all is mended."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from sqlalchemy import Engine, select, text

from stence.database.tables import ecgs, objects, runs, source_faults
from stence.objects import LocalStore
from stence.settings import Settings
from support.champion import crown
from support.ecgs import heartbeats, store_ecg
from support.environment import without_prefect
from support.identity import put_manifest
from support.pseudonyms import by_number
from support.scoring import all_rows, in_quarantine

STENCE = Path(sys.executable).with_name("stence")
GOOD = 1000
RUN_SECONDS = 540


class Hospital:
    """A store, and the command that a person types."""

    def __init__(self, settings: Settings) -> None:
        self.root = settings.data_dir / "store"
        self.store = LocalStore(self.root)
        assert settings.database_url is not None
        self._environment = {
            **without_prefect(),
            "STENCE_DATA_DIR": str(settings.data_dir),
            "STENCE_DATABASE_URL": settings.database_url.get_secret_value(),
            "STENCE_DEVICE": "cpu",
            "STENCE_TIMEZONE": "Europe/Berlin",
            "OMP_NUM_THREADS": "1",
        }

    def run(self, command: str) -> str:
        done = subprocess.run(
            [STENCE, command],
            env=self._environment,
            cwd=self.root.parent,
            capture_output=True,
            text=True,
            check=False,
            timeout=RUN_SECONDS,
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        assert "Traceback" not in said
        return said

    def admit_the_good(self) -> dict[str, str]:
        """A thousand ECGs, half of them named by a manifest; patient by key."""
        expected = {}
        signals = [heartbeats(seed) for seed in range(20)]
        for number in range(GOOD):
            signal = signals[number % 20].copy()
            signal[:, number % 5000] += 1 + number // 20  # no two are the same ECG
            name, patient = f"good/{number % 10}/{number}", f"GOOD{number}"
            comments = (f"<subject_id>: {patient}",) if number % 2 else ()
            store_ecg(self.store, f"ecg/{name}.hea", signal, comments=comments)
            expected[f"ecg/{name}.hea"] = patient
        named = [(f"GOOD{number}", f"{number % 10}/{number}") for number in range(0, GOOD, 2)]
        put_manifest(self.store, *named, key="ecg/good/record_list.csv")
        return expected

    def admit_the_bad(self, findings: Path) -> None:
        """All cases of the findings that are not about the signal, each in a folder of its own."""
        for case in sorted((findings / "intake").iterdir()):
            if (case / "store").is_dir():
                for part in (case / "store").iterdir():
                    shutil.copytree(part, self.root / part.name / case.name, dirs_exist_ok=True)
        for case in sorted((findings / "hostile").iterdir()):
            if case.is_dir():
                kind = "reports" if case.name == "cath" else "ecg"
                shutil.copytree(case, self.root / kind / f"hostile-{case.name}")
        for name in ("silent", "other-stem", "format-61", "layout"):
            shutil.copytree(findings / "ecg" / name, self.root / "ecg" / name)
        self._sparse_signal()
        deep = self.root / "ecg" / "deep" / "/".join(["d" * 200] * 15)
        os.makedirs(deep)
        (deep / "3000.hea").write_bytes(b"x")
        os.mkfifo(self.root / "ecg" / "pipe.hea")
        (self.root / "ecg" / "loop").symlink_to(self.root / "ecg")
        for path in self.root.rglob("*"):
            if not path.is_symlink() and path.is_file():
                path.chmod(0o600)

    def _sparse_signal(self) -> None:
        """200 headers that all name one file of 60 MiB."""
        folder = self.root / "ecg" / "hostile-memory_200_headers_one_60MB_file"
        header = (folder / "h000.hea").read_text()
        for number in range(200):
            (folder / f"h{number:03}.hea").write_text(header.replace("h000", f"h{number:03}"))
        with (folder / "big.dat").open("wb") as file:
            file.truncate(60 * 2**20)


def counts(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        row = connection.execute(text("SELECT indexed, scored, quarantined, pending FROM worklist_counts"))
        return dict(row.mappings().one())


def patients(engine: Engine) -> dict[str, str]:
    statement = select(objects.c.key, ecgs.c.patient_id).join(ecgs, ecgs.c.object_id == objects.c.id)
    with engine.connect() as connection:
        return dict(by_number(engine, connection.execute(statement)))


def dicom_of(patient: str, number: int) -> bytes:
    """A sound DICOM ECG, unlike any other."""
    dataset = pydicom.dcmread(str(get_testdata_file("waveform_ecg.dcm")))
    dataset.PatientID = patient
    group: Dataset = dataset.WaveformSequence[0]
    samples = bytearray(group.WaveformData)
    samples[number % 1000 * 24] ^= 1 + number % 7
    group.WaveformData = bytes(samples)
    content = BytesIO()
    dataset.save_as(content)
    return content.getvalue()


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_every_case_at_once_and_then_mended(engine: Engine, settings: Settings, shared: Path) -> None:
    hospital = Hospital(settings)
    crown(engine, hospital.store, settings, threshold=0.0)
    good = hospital.admit_the_good()
    hospital.admit_the_bad(shared / "findings")

    hospital.run("score")
    hospital.run("ingest")
    found = counts(engine)
    assert found["pending"] == 0
    assert found["indexed"] == found["scored"] + found["quarantined"]
    assert all_rows(engine, runs.c.state) == [("finished",)]
    scored = patients(engine)
    assert {key: scored.get(key) for key in good} == good
    assert len(in_quarantine(engine)) == found["quarantined"]
    assert all_rows(engine, source_faults.c.state)

    mend(hospital, engine)
    hospital.run("score")
    hospital.run("ingest")
    found = counts(engine)
    assert in_quarantine(engine) == {}
    assert found["quarantined"] == found["pending"] == 0
    scored = patients(engine)
    assert {key: scored.get(key) for key in good} == good
    mended = {key: patient for key, patient in scored.items() if patient.startswith("MENDED")}
    assert mended
    assert all(patient == mended_patient(key) for key, patient in mended.items())
    faults: Any = select(source_faults.c.source_key).where(source_faults.c.state == "open")
    with engine.connect() as connection:
        assert list(connection.scalars(faults)) == []


def mend(hospital: Hospital, engine: Engine) -> None:
    """What an ECG system would send anew: sound files in place of those in quarantine, clean tables."""
    store = hospital.store
    for number, (key, reason) in enumerate(sorted(in_quarantine(engine).items())):
        if key.endswith(".hea") and reason != "unsupported_format":
            named = (f"<subject_id>: {mended_patient(key)}",)
            store_ecg(store, key, heartbeats(5000 + number), comments=named)
        elif key.endswith(".dcm"):
            store.put(key, dicom_of(mended_patient(key), number))
        else:
            store.delete(key)
    files = [found.key for found in store.list("ecg/")]
    for manifest in [key for key in files if key.endswith("record_list.csv") and "/good/" not in key]:
        folder = manifest.rpartition("/")[0] + "/"
        ours = [key for key in files if key.startswith(folder) and key.endswith(".hea")]
        unnamed = [key for key in ours if b"subject_id" not in store.get(key)]
        for number, key in enumerate(unnamed):  # the cases share their signals: one ECG, one patient
            store_ecg(store, key, heartbeats(9000 + hash_of(key) + number))
        rows = [(mended_patient(key), key.removeprefix(folder).removesuffix(".hea")) for key in unnamed]
        put_manifest(store, *rows, key=manifest)
    for report in list(store.list("reports/")):
        if report.key.endswith(".csv"):
            store.put(report.key, b"study_id,patient_id,performed_at,segment,degree\n")
        else:
            store.delete(report.key)


def hash_of(key: str) -> int:
    return int(sha256(key.encode()).hexdigest()[:6], 16)


def mended_patient(key: str) -> str:
    return f"MENDED-{Path(key).stem}"
