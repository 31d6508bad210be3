"""Write the practice hospital into an object store, patient by patient; a seed determines every byte."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from stence.domain.targets import labels
from stence.objects import ObjectStore
from stence.progress import Progress
from stence.settings import Settings
from stence.simulation import angiogram_faults
from stence.simulation.angiogram_files import Study, angiogram_dataset, draw_syntax
from stence.simulation.angiograms import draw_runs
from stence.simulation.faults import SENT_AGAIN, WRONG_PATIENT, spoil_files
from stence.simulation.files import Ecg, write
from stence.simulation.ledger import Ledger
from stence.simulation.patients import Patient, draw_patient, subject_id
from stence.simulation.summary import SimulationSummary, Tally
from stence.simulation.truth import IdealObserver
from stence.simulation.visits import Visit, draw_angiography_time, draw_visits, study_id
from stence.simulation.writer import Writer

_COPY, _ANGIOGRAPHY = 8, 15
"""Study numbers of a patient: ECGs count from 0, duplicates under another key from 8, angiography is 15."""


@dataclass(frozen=True, slots=True)
class HospitalConfig:
    """``patients`` and ``seed`` define the hospital, ``end`` is its last moment.

    A patient depends only on seed, number and end: a larger hospital has the same first patients.
    ``angiograms``: also write the runs; ECGs and reports are the same with and without them.
    """

    patients: int = 3000
    seed: int = 7
    end: datetime = datetime(2026, 6, 30, 18)
    angiograms: bool = False


def simulate(
    store: ObjectStore, settings: Settings, config: HospitalConfig, progress: Progress
) -> SimulationSummary:
    """Write ECGs with their manifest, cath reports and angiograms, and the truth below ``simulation/``.

    Memory holds a few dozen files and the tables. Raises StoreUnavailableError.
    """
    with ThreadPoolExecutor(settings.fetch_threads) as pool:
        hospital = _Hospital(Writer(pool, store), settings, config)
        for number in range(config.patients):
            hospital.admit(number)
            progress("simulate", number + 1, config.patients)
        hospital.writer.finish()
    for key, content in hospital.ledger.objects():
        store.put(key, content)
    return hospital.tally.summary()


class _Hospital:
    def __init__(self, writer: Writer, settings: Settings, config: HospitalConfig) -> None:
        self.writer, self.ledger, self.tally = writer, Ledger(settings, config.angiograms), Tally()
        self._config = config
        self._observer = IdealObserver()

    def admit(self, number: int) -> None:
        """Write one patient's ECGs, and record the report and the truth."""
        rng = np.random.default_rng(np.random.SeedSequence(self._config.seed, spawn_key=(number,)))
        patient = draw_patient(rng, number)
        self.ledger.note_patient(patient)
        angiography = draw_angiography_time(rng, self._config.end) if patient.sent else None
        if angiography is not None:
            study = Study(patient, study_id(number, _ANGIOGRAPHY), angiography)
            self.ledger.note_angiography(patient, study.study_id, angiography)
            if self._config.angiograms:
                self._image(study)
        answers = labels(patient.degrees.tolist())
        for visit in draw_visits(rng, patient, angiography, self._config.end):
            key = self._write(rng, visit.ecg, visit.fault)
            if visit.fault is not None:
                self.ledger.note_fault(key, visit.fault)
                self._send_again(rng, patient, visit, key)
            log_odds = self._observer.log_odds(visit.evidence)
            self.ledger.note_ecg(key, visit, log_odds)
            self.tally.add(patient, visit, log_odds, answers)

    def _image(self, study: Study) -> None:
        """Write the study's runs; their own generator keeps the patient's ECGs unchanged."""
        number = study.patient.number
        rng = np.random.default_rng(np.random.SeedSequence(self._config.seed, spawn_key=(number, 1)))
        for run in draw_runs(rng, study.patient, study.performed_at):
            fault = angiogram_faults.draw_fault(rng)
            file = angiogram_dataset(study, run, draw_syntax(rng))
            key = self.ledger.note_run(study, run, fault)
            self.writer.put(key, angiogram_faults.spoilt(rng, file, run, number, fault))
            self.tally.add_run(fault)

    def _send_again(self, rng: np.random.Generator, patient: Patient, visit: Visit, key: str) -> None:
        """Write the recording a second time: under a new study, or under the patient admitted before."""
        if visit.fault not in (SENT_AGAIN, WRONG_PATIENT):
            return
        copy = replace(visit.ecg, study_id=study_id(patient.number, _COPY + visit.number))
        if visit.fault == WRONG_PATIENT:
            copy = replace(copy, subject_id=subject_id(patient.number - 1))
        self.ledger.note_fault(self._write(rng, copy, None), visit.fault, copy_of=key)

    def _write(self, rng: np.random.Generator, ecg: Ecg, fault: str | None) -> str:
        """Write the recording's files. Return the key of the main file."""
        folder = self.ledger.note_file(ecg)
        files = spoil_files(rng, write(ecg), fault)
        for name, content in files.items():
            self.writer.put(folder + name, content)
        return folder + next(iter(files))
