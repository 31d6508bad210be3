"""Supervised training: from ECGs and the cath reports after them to a candidate in the registry."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
from sqlalchemy import Engine

from stence import __version__, registry
from stence.cohort import Cohort, Part, Referral, Split, gather, hold_out, plan_cohort
from stence.cohort.entries import LAYOUT
from stence.cohort.unreferred import Unreferred, gather_unreferred
from stence.database.outage import transact
from stence.device import device_of
from stence.domain.targets import DECISIVE
from stence.ecg.recipes import Recipe
from stence.errors import ArtefactError, StenceError
from stence.evaluation import referral_weights as weighting
from stence.fitting.clinical import fuse_age_and_sex
from stence.fitting.finetuning import first_encoder, fit
from stence.fitting.folder import training_folder
from stence.fitting.start import Start, find_start
from stence.fitting.threads import torch_threads
from stence.models import TARGET_NAMES
from stence.objects import ObjectStore
from stence.progress import Progress, silent
from stence.registry.artefact import publish
from stence.settings import Settings
from stence.training import evaluation
from stence.training.config import SupervisedConfig
from stence.training.forms import choose_at_publishing
from stence.training.publishing import Fitted, enter, finish

BY = "stence train"
MIN_PATIENTS = 5
"""Minimum patients in each split, both with and without the decisive stenosis."""


def train(
    engine: Engine,
    store: ObjectStore,
    settings: Settings,
    config: SupervisedConfig,
    progress: Progress = silent,
) -> str:
    """Train on cath reports and indexed ECGs, register the model as the gate decides, and return its version.

    A killed training resumes when it is started again on the same data and configuration.
    Its working copy of the signals is in ``data_dir/training`` until the model is registered.
    Raises StenceError if too few patients have labels or the same training is already running,
    WeightsError if the initial weights were not imported, StoreUnavailableError,
    DatabaseUnavailableError, and ConfigurationError if the device is not available.
    """
    started, device = time.monotonic(), device_of(settings)
    start = find_start(store, settings, config.finetuning)
    plan = plan_cohort(engine, store, settings, config.days_before_study, progress)
    plan = hold_out(plan, config.split, engine, settings)
    referral = referral_of(engine, settings, config)
    recipe = config.finetuning.input
    windows = recipe.windows(settings.windows_per_ecg)
    made_by = (windows, recipe.version, __version__, LAYOUT)
    with training_folder(settings, plan.fingerprint, config, start.origin, *made_by) as folder:
        cohort = gather(plan, engine, store, settings, folder / "cohort", progress, recipe, referral)
        check_size(cohort, config)
        unreferred = gather_unreferred(
            plan, engine, store, settings, folder / "unreferred", progress, recipe, config.unreferred_patients
        )
        with torch_threads(config.cpu_threads):
            fitted = _fit(cohort, unreferred, config, start, device, folder, progress)
            rival = _find_rival(engine, store, settings, recipe, windows)
            days = transact(engine, settings.outage_seconds, registry.days_since_look)
            judged = evaluation.judged(fitted, rival, cohort, config, days, device)
        judged.fitted.run["seconds"] = round(time.monotonic() - started, 1)
        artefact = evaluation.described(judged, rival, cohort, config, windows)
        artefact = evaluation.with_card(artefact, judged.predicted, store, settings.card_prefix)
        artefact, measured = choose_at_publishing(artefact, cohort, config.forms, settings)
        published = publish(store, settings.model_prefix, artefact)
        transact(engine, settings.outage_seconds, enter, published, artefact, judged.verdict, measured, by=BY)
        shutil.rmtree(folder)
    return artefact.manifest.model_version


def referral_of(engine: Engine, settings: Settings, config: SupervisedConfig) -> Referral:
    """Return the sample weights that the configuration asks for. Raises DatabaseUnavailableError."""
    return weighting.referral(engine, settings) if config.finetuning.referral_weights else Referral()


def check_size(cohort: Cohort, config: SupervisedConfig) -> None:
    """Raise StenceError, with the patient counts, if a split has too few labelled patients."""
    found = {split: _patients_by_answer(part) for split, part in cohort.parts.items()}
    if min(min(counts) for counts in found.values()) >= MIN_PATIENTS:
        return
    counted = ", ".join(f"{split} {cases} + {controls}" for split, (cases, controls) in found.items())
    left_out = ", ".join(f"{reason} {count}" for reason, count in sorted(cohort.left_out.items()))
    moved = cohort.held_out.get("moved", 0)
    hint = f" The option split moved {moved} patients into test: choose a later cut or fewer sites." * (
        moved > 0
    )
    raise StenceError(
        f"Too few labelled patients to train on: each split needs at least {MIN_PATIENTS} patients with "
        f"and {MIN_PATIENTS} without {DECISIVE}, found {counted}. A patient counts with a usable ECG in "
        f"the {config.days_before_study:g} days before a cath study. Left out: {left_out or 'nothing'}."
        + (hint if moved else "")
    )


def _patients_by_answer(part: Part) -> tuple[int, int]:
    label = part.labels[:, TARGET_NAMES.index(DECISIVE)]
    return len(np.unique(part.patients[label == 1])), len(np.unique(part.patients[label == 0]))


def _fit(
    cohort: Cohort,
    unreferred: Unreferred,
    config: SupervisedConfig,
    start: Start,
    device: str,
    folder: Path,
    progress: Progress,
) -> Fitted:
    train, validation = (cohort.parts[split] for split in (Split.TRAIN, Split.VALIDATION))
    saved = folder / "checkpoint.safetensors"
    encoder = first_encoder(config.finetuning, start.weights) if start.weights else None
    model, history = fit(config.finetuning, train, validation, device, saved, progress, encoder)
    if config.age_and_sex:
        fuse_age_and_sex(model, config.finetuning, train, validation, device)
    fitted = finish(model, {"finetuning": history}, cohort, unreferred, config, device, progress)
    fitted.run["encoder_start"] = start.origin
    fitted.run["weights"] = {"ECG encoder": start.origin}
    return fitted


def _find_rival(
    engine: Engine, store: ObjectStore, settings: Settings, recipe: Recipe, windows: int
) -> evaluation.Rival:
    """Find the champion to compare with. A damaged one hinders the comparison, not the training."""
    try:
        return evaluation.find_rival(engine, store, settings, recipe, windows)
    except ArtefactError as error:
        return evaluation.Rival(None, f"The champion cannot be read ({error})")
