"""The first supervised model: cath reports and the ECGs before them -> a candidate in the registry."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from sqlalchemy import Engine

from stence import __version__, registry
from stence.cohort import Cohort, Part, Split, gather, plan_cohort
from stence.database.outage import patiently
from stence.device import device_of
from stence.ecg import PREPROCESSING_VERSION
from stence.errors import StenceError
from stence.models import TARGET_NAMES, Calibration, RiskModel, Threshold, calibration
from stence.models.coherence import answers, probabilities
from stence.models.thresholds import Rule
from stence.objects import ObjectStore
from stence.progress import Progress, silent
from stence.registry.artefact import Artefact, publish
from stence.settings import Settings
from stence.training.assessment import Assessed
from stence.training.evaluation import evaluate
from stence.training.finetuning import ecg_logits, fit
from stence.training.presets import TrainingConfig
from stence.training.publishing import Fitted, artefact_of

DECISIVE = "stenosis_70"
FEWEST_PATIENTS = 5
"""With and without the decisive stenosis in each split; fewer say nothing."""


def train(
    engine: Engine, store: ObjectStore, settings: Settings, config: TrainingConfig, tell: Progress = silent
) -> str:
    """Train on the store's cath reports and the indexed ECGs, register the model as a candidate: its version.

    A killed training goes on where it stopped when it is started again on the same data and configuration;
    its working copy of the signals lies in ``data_dir/training`` until the model is registered.
    Raises StenceError where too few patients have labels or the same training is at work already,
    StoreUnavailableError, DatabaseUnavailableError, and ConfigurationError for a device that is not there.
    """
    started, device = time.monotonic(), device_of(settings)
    plan = plan_cohort(engine, store, settings, config.days_before_study, tell)
    with _workplace(settings, config, plan.fingerprint) as folder:
        cohort = gather(plan, store, settings, folder / "cohort", tell)
        _check_size(cohort, config)
        with _torch_threads(config.cpu_threads):
            fitted = _fit(cohort, config, device, folder, tell)
        fitted.run["seconds"] = round(time.monotonic() - started, 1)
        artefact = artefact_of(fitted, config, cohort, settings.windows_per_ecg)
        published = publish(store, settings.model_prefix, artefact)
        patiently(lambda: _register(engine, published, artefact, cohort), settings.outage_seconds)
        shutil.rmtree(folder)
    return artefact.manifest.model_version


@contextmanager
def _workplace(settings: Settings, config: TrainingConfig, plan: str) -> Iterator[Path]:
    """The folder of this very training, held against a second process that would do the same."""
    decisive = (plan, config.model_dump_json(), settings.windows_per_ecg, PREPROCESSING_VERSION, __version__)
    name = hashlib.sha256(repr(decisive).encode()).hexdigest()[:16]
    folder = settings.data_dir / "training" / name
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StenceError(
                f"This very training is already at work in {folder}: wait for its end."
            ) from None
        yield folder


@contextmanager
def _torch_threads(count: int | None) -> Iterator[None]:
    """Let torch use so many threads, where a number is given, for the time of the context."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _check_size(cohort: Cohort, config: TrainingConfig) -> None:
    found = {split: _patients_by_answer(part) for split, part in cohort.parts.items()}
    if min(min(counts) for counts in found.values()) >= FEWEST_PATIENTS:
        return
    counted = ", ".join(f"{split} {cases} + {controls}" for split, (cases, controls) in found.items())
    left_out = ", ".join(f"{reason} {count}" for reason, count in sorted(cohort.left_out.items()))
    raise StenceError(
        f"Too few labelled patients to train on: each split needs at least {FEWEST_PATIENTS} patients with "
        f"and {FEWEST_PATIENTS} without {DECISIVE}, found {counted}. A patient counts with a usable ECG of "
        f"the {config.days_before_study:g} days before a cath study. Left out: {left_out or 'nothing'}."
    )


def _patients_by_answer(part: Part) -> tuple[int, int]:
    label = part.labels[:, TARGET_NAMES.index(DECISIVE)]
    return len(np.unique(part.patients[label == 1])), len(np.unique(part.patients[label == 0]))


def _fit(cohort: Cohort, config: TrainingConfig, device: str, folder: Path, tell: Progress) -> Fitted:
    parts = cohort.parts
    saved = folder / "checkpoint.safetensors"
    model, course = fit(config, parts[Split.TRAIN], parts[Split.VALIDATION], device, saved, tell)
    tell("evaluate", 0, 1)
    line = _calibrate(model, parts[Split.CALIBRATION], device)
    on_validation = _assess(model, line, parts[Split.VALIDATION], device)
    thresholds = _choose_thresholds(on_validation, config.threshold)
    metrics = evaluate(
        _assess(model, line, parts[Split.TEST], device), thresholds, config.bootstrap_resamples
    )
    tell("evaluate", 1, 1)
    return Fitted(model, line, thresholds, metrics, {"seed": config.seed, "device": device, **asdict(course)})


def _calibrate(model: RiskModel, part: Part, device: str) -> Calibration:
    return calibration.fit(ecg_logits(model, part, device), answers(part.labels), part.weights)


def _assess(model: RiskModel, line: Calibration, part: Part, device: str) -> Assessed:
    """Probabilities as the scorer would write them."""
    return Assessed.of(part, probabilities(line.apply(ecg_logits(model, part, device))))


def _choose_thresholds(validation: Assessed, rule: Rule) -> dict[str, Threshold]:
    on = f"{len(validation.labels)} ECGs of {len(np.unique(validation.patients))} validation patients"
    return {
        name: rule.choose(validation.probabilities[:, column], validation.labels[:, column], on)
        for column, name in enumerate(TARGET_NAMES)
    }


def _register(engine: Engine, folder: str, artefact: Artefact, cohort: Cohort) -> None:
    patients = sum(part.patient_count for part in cohort.parts.values())
    why = f"trained on cath reports of {patients} patients"
    with engine.begin() as connection:
        registry.register(connection, folder, artefact, by="stence train", why=why)
