"""Summary of a simulated hospital in counts, without identifiers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stence.domain.targets import TARGET_NAMES
from stence.simulation.patients import Patient
from stence.simulation.truth import best_auroc
from stence.simulation.visits import Visit


@dataclass(frozen=True, slots=True)
class SimulationSummary:
    """Counts (``runs``: angiograms, if written); by target the prevalence (all patients, patients with
    angiography) and the best possible AUROC for patients with angiography."""

    patients: int
    angiographies: int
    ecgs: int
    dicom_ecgs: int
    faults: dict[str, int]
    runs: int
    run_faults: dict[str, int]
    prevalence: dict[str, float]
    cath_prevalence: dict[str, float]
    best_auroc: dict[str, float]

    def text(self) -> str:
        """Format the summary for people: counts, then one line per target."""
        lines = [
            f"{self.patients:,} patients, {self.angiographies:,} of them with angiography",
            f"{self.ecgs:,} ECGs: {self.ecgs - self.dicom_ecgs:,} WFDB, {self.dicom_ecgs:,} DICOM; "
            f"{sum(self.faults.values()):,} broken or odd",
        ]
        if self.runs:
            lines.append(f"{self.runs:,} angiograms; {sum(self.run_faults.values()):,} broken or odd")
        lines.append("target          all   cath   best possible AUROC (cath)")
        lines += [
            f"{name:13} {everyone:5.1%} {self.cath_prevalence[name]:6.1%}   {self.best_auroc[name]:.3f}"
            for name, everyone in self.prevalence.items()
        ]
        return "\n".join(lines)


class Tally:
    """Counts patients and ECGs during the simulation."""

    def __init__(self) -> None:
        self._formats: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()
        self._runs = 0
        self._run_faults: Counter[str] = Counter()
        self._sent: list[bool] = []
        self._answers: list[NDArray[np.float32]] = []
        self._log_odds: list[NDArray[np.float64]] = []

    def add(
        self, patient: Patient, visit: Visit, log_odds: NDArray[np.float64], answers: NDArray[np.float32]
    ) -> None:
        """Count one ECG; only a patient's first ECG enters the AUROC."""
        self._formats[visit.ecg.device.file_format] += 1
        if visit.fault is not None:
            self._faults[visit.fault] += 1
        if visit.number == 0:
            self._sent.append(patient.sent)
            self._answers.append(answers)
            self._log_odds.append(log_odds)

    def add_run(self, fault: str | None) -> None:
        """Count one angiogram."""
        self._runs += 1
        if fault is not None:
            self._run_faults[fault] += 1

    def summary(self) -> SimulationSummary:
        """Return the counts so far."""
        sent = np.array(self._sent, dtype=bool)
        answers = np.array(self._answers).reshape(-1, len(TARGET_NAMES))
        log_odds = np.array(self._log_odds).reshape(-1, len(TARGET_NAMES))
        return SimulationSummary(
            patients=len(sent),
            angiographies=int(sent.sum()),
            ecgs=self._formats.total(),
            dicom_ecgs=self._formats["dicom"],
            faults=dict(self._faults),
            runs=self._runs,
            run_faults=dict(self._run_faults),
            prevalence=_prevalence(answers),
            cath_prevalence=_prevalence(answers[sent]),
            best_auroc=dict(zip(TARGET_NAMES, best_auroc(log_odds[sent], answers[sent]), strict=True)),
        )


def _prevalence(answers: NDArray[np.float32]) -> dict[str, float]:
    settled = np.maximum((~np.isnan(answers)).sum(axis=0), 1)
    return dict(zip(TARGET_NAMES, (np.nansum(answers, axis=0) / settled).tolist(), strict=True))
