"""Fine-tuning for other labels: from labels and ECGs in the store to a model and its report there."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from stence import __version__
from stence.cohort import Part, Split
from stence.cohort.entries import LAYOUT
from stence.device import device_of
from stence.errors import StenceError
from stence.fitting.finetuning import first_encoder, fit
from stence.fitting.folder import training_folder
from stence.fitting.loop import TrainingHistory
from stence.fitting.start import Start, find_start
from stence.fitting.tasks import LabelTask
from stence.fitting.threads import torch_threads
from stence.labels.config import LabelsConfig
from stence.labels.echonext import read_echonext
from stence.labels.gathering import LabelledEcgs, gather
from stence.labels.measuring import Measured, measure, patients_by_answer
from stence.labels.report import LabelsReport, markdown
from stence.labels.table import read_labels
from stence.models import RiskModel
from stence.objects import ObjectStore
from stence.progress import Progress, silent
from stence.registry.artefact import WEIGHTS, weights_of
from stence.registry.manifest import Architecture, Code, Preprocessing, TrainingData
from stence.registry.provenance import git_commit, libraries
from stence.settings import Settings

MIN_PATIENTS = 2
"""Minimum training patients with, and without, each label."""
REPORT, TEXT = "report.json", "report.md"


def fit_labels(
    store: ObjectStore, settings: Settings, config: LabelsConfig, progress: Progress = silent
) -> LabelsReport:
    """Fine-tune an encoder for the labels that a configuration names. Return the report.

    Model and report are written to the store below ``task_prefix`` + the report's ``folder``, the report
    last. A killed training resumes when it is started again with the same labels and configuration. Raises
    ConfigurationError if the table cannot be read or the device is not available, StenceError if too few
    patients have labels or the same training is already running, WeightsError if the initial weights were not
    imported, and StoreUnavailableError.
    """
    started, device = time.monotonic(), device_of(settings)
    start = find_start(store, settings, config.finetuning)
    source = config.echonext
    table = read_echonext(store, source) if source else read_labels(store, settings, config, progress)
    recipe = config.finetuning.input
    windows = recipe.windows(settings.windows_per_ecg)
    made_by = (windows, recipe.version, __version__, LAYOUT)
    with training_folder(settings, table.fingerprint, config, start.origin, *made_by) as folder:
        ecgs = gather(table, store, settings, folder / "ecgs", progress, recipe, source)
        _check_size(ecgs, config.labels)
        with torch_threads(config.cpu_threads):
            model, history = _fit(ecgs.parts, config, start, device, folder, progress)
            progress("evaluate", 0, 1)
            rule, count = config.threshold, config.bootstrap_resamples
            result = measure(model, ecgs.parts, config.labels, rule, count, device)
            progress("evaluate", 1, 1)
        run = {
            "encoder_start": start.origin,
            "device": device,
            "seconds": round(time.monotonic() - started, 1),
            "course": asdict(history),
        }
        weights = weights_of(model)
        report = _report(config, model, result, ecgs, windows, run, weights)
        _publish(store, settings.task_prefix + report.folder, report, weights)
        shutil.rmtree(folder)
    return report


def _check_size(ecgs: LabelledEcgs, names: tuple[str, ...]) -> None:
    """Raise StenceError, with the patient counts, if there are too few patients to train or evaluate."""
    counts = {
        name: {split: patients_by_answer(part, column) for split, part in ecgs.parts.items()}
        for column, name in enumerate(names)
    }
    poor = [name for name, found in counts.items() if min(found[Split.TRAIN]) < MIN_PATIENTS]
    judged = any(min(found[Split.VALIDATION]) for found in counts.values())
    if not poor and judged and all(len(part) for part in ecgs.parts.values()):
        return
    lines = [
        f"{name}: " + ", ".join(f"{split} {cases} + {controls}" for split, (cases, controls) in found.items())
        for name, found in counts.items()
    ]
    left_out = ", ".join(f"{reason} {count}" for reason, count in sorted(ecgs.left_out.items()))
    raise StenceError(
        f"Too few labelled patients: each label needs at least {MIN_PATIENTS} training patients with it "
        f"and {MIN_PATIENTS} without, at least one label needs both among the validation patients, and "
        "every split needs an ECG. Leave rare labels out of the configuration, or add ECGs. Found, with + "
        "without:\n  " + "\n  ".join(lines) + f"\nLeft out: {left_out or 'nothing'}."
    )


def _fit(
    parts: Mapping[Split, Part],
    config: LabelsConfig,
    start: Start,
    device: str,
    folder: Path,
    progress: Progress,
) -> tuple[RiskModel, TrainingHistory]:
    encoder = first_encoder(config.finetuning, start.weights) if start.weights else None
    train, validation = parts[Split.TRAIN], parts[Split.VALIDATION]
    task, saved = LabelTask(config.labels), folder / "checkpoint.safetensors"
    return fit(config.finetuning, train, validation, device, saved, progress, encoder, task)


def _report(
    config: LabelsConfig,
    model: RiskModel,
    result: Measured,
    ecgs: LabelledEcgs,
    windows: int,
    run: dict[str, object],
    weights: bytes,
) -> LabelsReport:
    sha256, now = hashlib.sha256(weights).hexdigest(), datetime.now(UTC)
    return LabelsReport(
        name=config.name,
        version=f"{config.finetuning.encoder}-{now:%Y%m%dT%H%M%S}-{sha256[:8]}",
        created_at=now,
        labels=config.labels,
        architecture=Architecture(encoder=config.finetuning.encoder, config=model.encoder.config),
        preprocessing=Preprocessing.of(config.finetuning.input, windows),
        calibration=result.calibration,
        thresholds=dict(result.thresholds),
        data=TrainingData(
            fingerprint=ecgs.fingerprint,
            ecgs={split: len(part) for split, part in ecgs.parts.items()},
            patients={split: part.patient_count for split, part in ecgs.parts.items()},
            left_out=dict(ecgs.left_out),
        ),
        without_patient=ecgs.without_patient,
        config=config.model_dump(mode="json", exclude_none=True),
        run=run,
        metrics=dict(result.metrics),
        code=Code(stence=__version__, git_commit=git_commit(), libraries=libraries()),
        files={WEIGHTS: sha256},
    )


def _publish(store: ObjectStore, folder: str, report: LabelsReport, weights: bytes) -> None:
    store.put(folder + WEIGHTS, weights)
    store.put(folder + TEXT, markdown(report).encode())
    store.put(folder + REPORT, report.model_dump_json(indent=2).encode())
