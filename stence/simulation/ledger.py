"""The hospital's tables: those that the product reads, and the truth, which it does not read."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from datetime import datetime
from io import StringIO

import numpy as np
from numpy.typing import NDArray

from stence.domain.targets import TARGET_NAMES
from stence.settings import Settings
from stence.simulation import angiogram_faults
from stence.simulation.angiogram_files import Study
from stence.simulation.angiograms import Run
from stence.simulation.coronaries import TERRITORIES
from stence.simulation.faults import EXPECTED
from stence.simulation.files import Ecg
from stence.simulation.patients import RISK_FACTORS, Patient
from stence.simulation.visits import Visit

TRUTH_PREFIX = "simulation/"
"""Prefix of the latent truth; the product never reads it."""


class Table:
    """A table with fixed columns."""

    def __init__(self, *columns: str) -> None:
        self.columns = columns
        self.rows: list[tuple[object, ...]] = []

    def csv(self) -> bytes:
        """Write the table as UTF-8 CSV with a header line."""
        text = StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(self.rows)
        return text.getvalue().encode()


def cath_table() -> Table:
    """Return an empty table with the columns of a cath report."""
    return Table("study_id", "patient_id", "performed_at", "segment", "degree")


def cath_rows(
    study_id: int, patient: Patient, performed_at: datetime, stated: Sequence[int]
) -> list[tuple[object, ...]]:
    """Return a study's rows, one per narrowed segment in ``stated`` (16 degrees); one of degree 0 if none."""
    narrowed = [(number, degree) for number, degree in enumerate(stated, 1) if degree] or [(1, 0)]
    moment = performed_at.isoformat()
    return [(study_id, patient.subject_id, moment, segment, degree) for segment, degree in narrowed]


class Ledger:
    """Collects patients, angiographies and ECGs, and writes them as CSV files."""

    def __init__(self, settings: Settings, angiograms: bool) -> None:
        self.manifest = Table("subject_id", "study_id", "file_name", "ecg_time", "path")
        self.cath = cath_table()
        segments = (f"segment_{segment}" for segment in range(1, 17))
        self.patients = Table("patient_id", "age", "sex", *RISK_FACTORS, "hypertrophy", "sent", *segments)
        signs = (f"{sign}_{artery.lower()}" for sign in ("ischaemia", "scar") for artery in TERRITORIES)
        log_odds = (f"log_odds_{target}" for target in TARGET_NAMES)
        self.ecgs = Table(
            "key", "patient_id", "model", "heart_rate", "fibrillation", "conduction", *signs, *log_odds
        )
        self.faults = Table("key", "fault", "expected", "copy_of")
        self.runs = Table("key", "patient_id", "study_id", "artery", "primary_angle", "secondary_angle")
        self.run_faults = Table("key", "fault", "expected", "reason")
        self._settings, self._angiograms = settings, angiograms

    def objects(self) -> Iterator[tuple[str, bytes]]:
        """Yield key and content of every table's file."""
        yield self._settings.ecg_prefix + "record_list.csv", self.manifest.csv()
        yield self._settings.report_prefix + "cath.csv", self.cath.csv()
        yield TRUTH_PREFIX + "truth.csv", self.patients.csv()
        yield TRUTH_PREFIX + "ecgs.csv", self.ecgs.csv()
        yield TRUTH_PREFIX + "faults.csv", self.faults.csv()
        if self._angiograms:
            yield TRUTH_PREFIX + "angiograms.csv", self.runs.csv()
            yield TRUTH_PREFIX + "angiogram_faults.csv", self.run_faults.csv()

    def note_patient(self, patient: Patient) -> None:
        """Record a patient's truth."""
        self.patients.rows.append(
            (
                patient.subject_id,
                patient.age,
                patient.sex,
                *map(int, patient.risk_factors),
                round(patient.hypertrophy, 3),
                int(patient.sent),
                *patient.degrees.tolist(),
            )
        )

    def note_angiography(self, patient: Patient, study_id: int, performed_at: datetime) -> None:
        """Record a cath report."""
        self.cath.rows += cath_rows(study_id, patient, performed_at, patient.degrees.tolist())

    def note_run(self, study: Study, run: Run, fault: str | None) -> str:
        """Record a run's truth and the fault of its file. Return the file's key."""
        subject, artery = str(study.patient.subject_id), "RCA" if run.right else "LCA"
        folder = f"{self._settings.angiogram_prefix}p{subject[:4]}/p{subject}/s{study.study_id}/"
        key = f"{folder}{run.number}.dcm"
        self.runs.rows.append((key, subject, study.study_id, artery, run.primary, run.secondary))
        if fault is not None:
            self.run_faults.rows.append((key, fault, "quarantined", angiogram_faults.REASONS[fault]))
        return key

    def note_file(self, ecg: Ecg) -> str:
        """Record a manifest row. Return the folder's key."""
        subject, study = str(ecg.subject_id), str(ecg.study_id)
        folder = f"files/p{subject[:4]}/p{subject}/s{study}/"
        self.manifest.rows.append((subject, study, study, f"{ecg.taken_at}", folder + study))
        return self._settings.ecg_prefix + folder

    def note_fault(self, key: str, fault: str, copy_of: str = "") -> None:
        """Record the fault of the ECG under ``key``, and the expected outcome."""
        self.faults.rows.append((key, fault, EXPECTED[fault], copy_of))

    def note_ecg(self, key: str, visit: Visit, log_odds: NDArray[np.float64]) -> None:
        """Record an ECG's truth: the ideal observer's evidence and log-odds."""
        ecg, evidence = visit.ecg, visit.evidence
        self.ecgs.rows.append(
            (
                key,
                ecg.subject_id,
                ecg.device.model,
                round(visit.rhythm.heart_rate, 1),
                int(visit.rhythm.fibrillating),
                visit.heart.conduction,
                *evidence.ischaemia.round(3).tolist(),
                *evidence.scar.round(3).tolist(),
                *log_odds.round(3).tolist(),
            )
        )
