"""Measuring the numeric forms of a model against fp32, and choosing one."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine

from stence import registry
from stence.cohort import Cohort, Part, Split, gather, hold_out, plan_cohort
from stence.database.outage import transact
from stence.database.roles import APPROVER, acting_as
from stence.device import device_of
from stence.ecg.recipes import VERSIONS
from stence.errors import FormError
from stence.evaluation.forms import FormBounds, FormChanges, FormsConfig
from stence.inference import FP32, Form, available_forms, hardware_of, hindrance, library_of
from stence.models import RiskScorer
from stence.objects import ObjectStore
from stence.progress import Progress, silent
from stence.registry import Artefact
from stence.registry.forms import MeasuredForm, form_cache, record_forms
from stence.settings import Settings
from stence.training.config import SupervisedConfig

ROUNDS = 5
"""Times that the speed of a form is measured, in turn with fp32."""
TIMED = 16
"""ECGs whose scoring is timed."""


class Sample(NamedTuple):
    """ECGs (n, windows, 12, samples) and clinical values (n, 2) that forms are measured on."""

    ecgs: NDArray[np.float32]
    clinical: NDArray[np.float64]

    @classmethod
    def of(cls, part: Part, limit: int) -> Sample:
        """Take up to ``limit`` ECGs, evenly from the whole part."""
        taken = np.unique(np.linspace(0, len(part) - 1, min(limit, len(part))).astype(np.intp))
        return cls(np.asarray(part.signals[part.rows[taken]]), part.clinical[taken])


def measure_forms(
    scorer: RiskScorer,
    cohort: Cohort,
    config: FormsConfig,
    settings: Settings,
    forms: Sequence[str] | None = None,
) -> list[MeasuredForm]:
    """Measure forms of ``scorer``, which is in fp32, and choose the fastest within the bounds.

    The mean error of the embeddings is that of the calibration patients, the changes are those of the
    validation patients. ``forms``: all that this host can compute in by default. fp32 is chosen unless
    another form is faster.
    """
    learning, judging = (
        Sample.of(cohort.parts[split], config.ecgs) for split in (Split.CALIBRATION, Split.VALIDATION)
    )
    candidates = forms or available_forms(scorer.device)
    others = [
        _measured(scorer, form, learning, judging, config.bounds, settings)
        for form in candidates
        if form != FP32
    ]
    return _with_choice([_reference(scorer, judging), *others])


def choose_at_publishing(
    artefact: Artefact, cohort: Cohort, config: FormsConfig, settings: Settings
) -> tuple[Artefact, list[MeasuredForm]]:
    """Measure a new model's forms if the configuration asks for it; its manifest then names the choice."""
    if config.choose == FP32:
        return artefact, []
    scorer = registry.scorer(artefact, device_of(settings))
    measured = measure_forms(scorer, cohort, config, settings)
    chosen = {each.device: each.form for each in measured if each.chosen}
    manifest = artefact.manifest.model_copy(update={"forms": chosen})
    return Artefact(manifest, artefact.weights), measured


def _choose(connection: Connection, version: str, measured: list[MeasuredForm], *, by: str, why: str) -> None:
    with acting_as(connection, APPROVER):
        record_forms(connection, version, measured, by=by, why=why)


def _check_approver(connection: Connection) -> None:
    """Raise ConfigurationError at once, not after minutes of measuring, if the login may not choose."""
    with acting_as(connection, APPROVER):
        pass


def optimise(
    engine: Engine,
    store: ObjectStore,
    settings: Settings,
    version: str,
    *,
    form: str | None = None,
    by: str,
    why: str,
    progress: Progress = silent,
) -> list[MeasuredForm]:
    """Measure the forms of a registered version on this host, record them, and choose one for its device.

    ``form``: that one, or none. Raises RegistryError for an unknown version, ArtefactError, and FormError,
    with its figures, if the wanted form cannot be used or is beyond the bounds; this is recorded too.
    """
    found = transact(engine, settings.outage_seconds, registry.find, version)
    artefact = registry.read(store, found.folder, found.sha256)
    scorer = registry.scorer(artefact, device_of(settings))
    transact(engine, settings.outage_seconds, _check_approver)
    if form and (reason := hindrance(form, scorer.device)):
        raise FormError(f"The form {form} cannot be used here: {reason}.")
    with TemporaryDirectory(prefix="stence-forms-") as folder:
        config = _training_config(artefact)
        cohort = _cohort(engine, store, settings, artefact, config, Path(folder) / "cohort", progress)
        measured = measure_forms(scorer, cohort, config.forms, settings, [form] if form else None)
    if form:
        measured = [replace(each, chosen=each.form == form and not each.refused) for each in measured]
    transact(engine, settings.outage_seconds, _choose, version, measured, by=by, why=why)
    if form and not any(each.chosen for each in measured):
        raise FormError(f"{version} may not score in {form}: {measured[-1].refused}.")
    return measured


def _training_config(artefact: Artefact) -> SupervisedConfig:
    kept = artefact.manifest.training_config
    names = SupervisedConfig.model_fields.keys() & kept.keys()
    return SupervisedConfig(**{name: kept[name] for name in names})


def _cohort(
    engine: Engine,
    store: ObjectStore,
    settings: Settings,
    artefact: Artefact,
    config: SupervisedConfig,
    folder: Path,
    progress: Progress,
) -> Cohort:
    """Gather the patients of the model's training anew, with its input recipe and windows."""
    preprocessing = artefact.manifest.preprocessing
    plan = plan_cohort(engine, store, settings, config.days_before_study, progress)
    plan = hold_out(plan, config.split, engine, settings)
    windows = settings.model_copy(update={"windows_per_ecg": preprocessing.windows})
    return gather(plan, engine, store, windows, folder, progress, VERSIONS[preprocessing.version])


def _reference(scorer: RiskScorer, judging: Sample) -> MeasuredForm:
    about = (scorer.device, FP32, library_of(FP32, scorer.device), hardware_of(scorer.device))
    return MeasuredForm(*about, figures={"ecgs": len(judging.ecgs), "speed": 1.0})


def _measured(
    scorer: RiskScorer, name: str, learning: Sample, judging: Sample, bounds: FormBounds, settings: Settings
) -> MeasuredForm:
    about = (scorer.device, name, library_of(name, scorer.device), hardware_of(scorer.device))
    cache = form_cache(settings, scorer.model_version)
    try:
        plain = scorer.in_form(Form(name, cache=cache))
    except FormError as error:
        return MeasuredForm(*about, figures={}, refused=str(error))
    shift = (plain.embed(learning.ecgs) - scorer.embed(learning.ecgs)).mean(axis=0).tolist()
    other = scorer.in_form(Form(name, shift, cache))
    target, threshold = next(iter(scorer.thresholds.items()))
    before, after = (each.score(judging.ecgs, judging.clinical) for each in (scorer, other))
    changes = FormChanges.between(before, after, target, threshold.value)
    figures = changes.described() | {"speed": _speed(scorer, other, judging.ecgs[:TIMED])}
    return MeasuredForm(*about, figures, shift, "; ".join(changes.beyond(bounds)) or None)


def _speed(scorer: RiskScorer, other: RiskScorer, ecgs: NDArray[np.float32]) -> float:
    """Return how many times as fast as fp32 a form scores, the median over ``ROUNDS``."""
    ratios = [_seconds(scorer, ecgs) / _seconds(other, ecgs) for _ in range(ROUNDS)]
    return round(statistics.median(ratios), 2)


def _seconds(scorer: RiskScorer, ecgs: NDArray[np.float32]) -> float:
    start = time.perf_counter()
    scorer.embed(ecgs)
    return time.perf_counter() - start


def _with_choice(measured: list[MeasuredForm]) -> list[MeasuredForm]:
    """Choose the fastest form that is not refused; of equals the first, which is fp32."""
    fastest = max((each for each in measured if not each.refused), key=lambda each: each.figures["speed"])
    return [replace(each, chosen=each is fastest) for each in measured]
