"""A hospital with a disease that is easy to see, and a training that learns it in seconds."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from stence.objects import ObjectStore
from stence.training.gate import GateConfig
from support.angiograms import run
from support.ecgs import heartbeats, manifest, store_ecg

STUDY = datetime(2026, 3, 20, 10)
PATIENTS = 240
LENIENT = GateConfig(
    odds_factors=(1000, 10_000), slope_factors=(100, 1000), alerts_per_1000=(0, 1000), auroc_floor=0
)
"""A gate for models that are trained for seconds."""
QUICK = """
cpu_threads: 1
backbone: ridges
augmented_copies: 1
teacher: {embed_dim: 16, layers: 1, epochs: 8, patience: 8, batch_size: 16, accumulation: 1, rate: 1.0e-3}
pretraining:
  {shared: 16, epochs: 8, warmup_epochs: 1, batch_size: 16, ecg_rate: 1.0e-3, angiogram_rate: 1.0e-3,
   probe_every: 2}
finetuning:
  encoder_config: {width: 16, depth: 1, heads: 1}
  epochs: 8
  warmup_epochs: 1
  patience: 8
  batch_size: 16
  encoder_rate: 5.0e-3
  head_rate: 5.0e-3
bootstrap_resamples: 100
"""
"""A preset, as YAML."""


def toy_ecg(number: int, *, ill: bool) -> NDArray[np.int16]:
    """Disease turns everything in the chest leads upside down, which no augmentation does."""
    signal = heartbeats(number)
    signal[6:] *= -1 if ill else 1
    return signal


def is_ill(number: int) -> bool:
    return number % 2 == 1


class ToyHospital:
    """One ECG, ten days before its study, for each patient; rows may be added before ``write``."""

    def __init__(self, store: ObjectStore, patients: int = PATIENTS, prefix: str = "P") -> None:
        self.store = store
        self.patients = [f"{prefix}{number}" for number in range(patients)]
        self.ecgs: list[tuple[str, str, str]] = []
        self.reports = ["study_id,patient_id,performed_at,segment,degree"]
        for number, patient in enumerate(self.patients):
            self.add_ecg(f"{number}", patient, toy_ecg(number, ill=is_ill(number)))
            self.add_study(f"S-{patient}", patient, degree=95 if is_ill(number) else 10)

    def add_ecg(
        self, path: str, patient: str, signal: NDArray[np.int16], days_before: float = 10, rate: float = 500
    ) -> None:
        store_ecg(self.store, f"ecg/{path}.hea", signal, rate=rate)
        self.ecgs.append((patient, (STUDY - timedelta(days=days_before)).isoformat(), path))

    def add_study(self, study: str, patient: str, degree: float) -> None:
        self.reports.append(f"{study},{patient},{STUDY.isoformat()},6,{degree}")

    def add_angiograms(self, text: str = "NO") -> None:
        """One run of every patient's study; ``text``: what it states about text burned into its pixels."""
        for number, patient in enumerate(self.patients):
            content = run(
                patient,
                number,
                frames=3,
                filled=1,
                accession=f"S-{patient}",
                taken_at=STUDY,
                seed=number,
                text=text,
            )
            self.store.put(f"angio/{patient}/{number}.dcm", content)

    def write(self) -> None:
        self.store.put("ecg/record_list.csv", manifest(self.ecgs))
        self.store.put("reports/cath.csv", ("\n".join(self.reports) + "\n").encode())
