"""Supervised training: cath reports and the ECGs before them -> a candidate in the registry."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
from sqlalchemy import Engine

from stence import __version__
from stence.cohort import Cohort, Part, Referral, Split, gather, plan_cohort
from stence.database.outage import patiently
from stence.device import device_of
from stence.domain.targets import DECISIVE
from stence.errors import StenceError
from stence.evaluation import referral_weights as weighting
from stence.fitting.finetuning import first_encoder, fit
from stence.fitting.folder import training_folder
from stence.fitting.start import Start, find_start
from stence.fitting.threads import torch_threads
from stence.models import TARGET_NAMES
from stence.objects import ObjectStore
from stence.progress import Progress, silent
from stence.registry.artefact import Artefact, publish
from stence.settings import Settings
from stence.training.config import SupervisedConfig
from stence.training.publishing import Fitted, artefact_of, finish, register

MIN_PATIENTS = 5
"""With and without the decisive stenosis in each split; fewer say nothing."""


def train(
    engine: Engine,
    store: ObjectStore,
    settings: Settings,
    config: SupervisedConfig,
    progress: Progress = silent,
) -> str:
    """Train on the store's cath reports and the indexed ECGs, register the model as a candidate: its version.

    A killed training goes on where it stopped when it is started again on the same data and configuration;
    its working copy of the signals lies in ``data_dir/training`` until the model is registered.
    Raises StenceError where too few patients have labels or the same training is at work already,
    WeightsError where the weights to start from were not imported, StoreUnavailableError,
    DatabaseUnavailableError, and ConfigurationError for a device that is not there.
    """
    started, device = time.monotonic(), device_of(settings)
    start = find_start(store, settings, config.finetuning)
    plan = plan_cohort(engine, store, settings, config.days_before_study, progress)
    referral = referral_of(engine, settings, config)
    recipe = config.finetuning.input
    windows = recipe.windows(settings.windows_per_ecg)
    made_by = (windows, recipe.version, __version__)
    with training_folder(settings, plan.fingerprint, config, start.origin, *made_by) as folder:
        cohort = gather(plan, engine, store, settings, folder / "cohort", progress, recipe, referral)
        check_size(cohort, config)
        with torch_threads(config.cpu_threads):
            fitted = _fit(cohort, config, start, device, folder, progress)
        fitted.run["seconds"] = round(time.monotonic() - started, 1)
        artefact = artefact_of(fitted, config, cohort, windows)
        published = publish(store, settings.model_prefix, artefact)
        patiently(lambda: _register(engine, published, artefact), settings.outage_seconds)
        shutil.rmtree(folder)
    return artefact.manifest.model_version


def referral_of(engine: Engine, settings: Settings, config: SupervisedConfig) -> Referral:
    """What patients count by the configuration. Raises DatabaseUnavailableError."""
    return weighting.referral(engine, settings) if config.finetuning.referral_weights else Referral()


def check_size(cohort: Cohort, config: SupervisedConfig) -> None:
    """Raise StenceError, which says what was found, where a split has too few labelled patients."""
    found = {split: _patients_by_answer(part) for split, part in cohort.parts.items()}
    if min(min(counts) for counts in found.values()) >= MIN_PATIENTS:
        return
    counted = ", ".join(f"{split} {cases} + {controls}" for split, (cases, controls) in found.items())
    left_out = ", ".join(f"{reason} {count}" for reason, count in sorted(cohort.left_out.items()))
    raise StenceError(
        f"Too few labelled patients to train on: each split needs at least {MIN_PATIENTS} patients with "
        f"and {MIN_PATIENTS} without {DECISIVE}, found {counted}. A patient counts with a usable ECG of "
        f"the {config.days_before_study:g} days before a cath study. Left out: {left_out or 'nothing'}."
    )


def _patients_by_answer(part: Part) -> tuple[int, int]:
    label = part.labels[:, TARGET_NAMES.index(DECISIVE)]
    return len(np.unique(part.patients[label == 1])), len(np.unique(part.patients[label == 0]))


def _fit(
    cohort: Cohort, config: SupervisedConfig, start: Start, device: str, folder: Path, progress: Progress
) -> Fitted:
    train, validation = (cohort.parts[split] for split in (Split.TRAIN, Split.VALIDATION))
    saved = folder / "checkpoint.safetensors"
    encoder = first_encoder(config.finetuning, start.weights) if start.weights else None
    model, history = fit(config.finetuning, train, validation, device, saved, progress, encoder)
    fitted = finish(model, {"finetuning": history}, cohort, config, device, progress)
    fitted.run["encoder_start"] = start.origin
    return fitted


def _register(engine: Engine, folder: str, artefact: Artefact) -> None:
    with engine.begin() as connection:
        register(connection, folder, artefact, by="stence train")
