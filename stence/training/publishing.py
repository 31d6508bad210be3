"""Calibrate and evaluate a fitted model, record its origin, and register it as a candidate."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

import stence
from stence import registry
from stence.cohort import Cohort, Part, Split
from stence.cohort.unreferred import Unreferred
from stence.domain.checks import Result, Verdict
from stence.domain.thresholds import Rule
from stence.evaluation.ablation import ablation
from stence.evaluation.predictions import Predictions
from stence.evaluation.pretest_comparison import compared_with_pretest
from stence.fitting.baseline import baseline_name, clinical_baseline
from stence.fitting.finetuning import ecg_logits
from stence.fitting.loop import TrainingHistory
from stence.models import TARGET_NAMES, Calibration, Certainty, RiskModel, Threshold, Workload
from stence.models.coherence import probabilities
from stence.progress import Progress
from stence.registry.artefact import WEIGHTS, Artefact, weights_of
from stence.registry.forms import MeasuredForm, record_forms
from stence.registry.manifest import Architecture, Code, Manifest, Preprocessing, TrainingData
from stence.registry.provenance import git_commit, libraries
from stence.training import certainty, populations
from stence.training.config import SupervisedConfig
from stence.training.populations import Logits, Populations

ECG_ALONE = "ECG alone"
"""Name of a model's own ECG part in its ablation."""
THIS_MODEL = "this model"


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model with its calibrations, thresholds and metrics; ``run`` describes the training, as JSON.

    ``certainty`` is what the model knows about its own scores.
    """

    model: RiskModel
    populations: Populations
    thresholds: Mapping[str, Threshold]
    metrics: Mapping[str, Any]
    run: dict[str, Any]
    certainty: Certainty | None = None


def finish(
    model: RiskModel,
    histories: Mapping[str, TrainingHistory],
    cohort: Cohort,
    unreferred: Unreferred,
    config: SupervisedConfig,
    device: str,
    progress: Progress,
) -> Fitted:
    """Calibrate a fitted model, choose its thresholds and evaluate it; ``histories`` by stage."""
    progress("evaluate", 0, 1)
    logits = Logits.of(model, cohort, unreferred, device)
    found = populations.calibrated(logits, cohort, unreferred)
    thresholds = populations.choose_thresholds(logits, cohort, unreferred, found, config.threshold)
    metrics = populations.measured(logits, cohort, found, thresholds, config.bootstrap_resamples)
    on_test = populations.on_test(logits, cohort, found.referred)
    simple = _simple(model, found.referred, cohort, device)
    metrics["ablation"] = ablation(on_test, simple, config.bootstrap_resamples)
    metrics["pretest"] = compared_with_pretest(
        {THIS_MODEL: on_test} | simple, cohort.parts[Split.TEST].indication
    )
    sure = certainty.estimate(model, logits, cohort, unreferred, found, device)
    metrics["certainty"] = certainty.described(sure, logits, cohort, found)
    progress("evaluate", 1, 1)
    metrics["workload"] = promised_workload(
        metrics, config.decisive, config.threshold, unreferred.patients_per_day
    )
    stages = {stage: asdict(history) for stage, history in histories.items()}
    run = {"device": device, "stages": stages, "temperature_only": list(found.temperature_only)}
    return Fitted(model, found, thresholds, metrics, run, sure)


def promised_workload(
    metrics: Mapping[str, Any], decisive: str, rule: Rule, patients_per_day: float | None
) -> dict[str, Any]:
    """Return how many patients the decisive target flags, as promised: of 1,000 with an ECG, and a day.

    That is the budget of a ``Workload`` rule; otherwise the share of the test patients, as estimated for
    everybody screened where that can be. ``flagged_per_day`` is None if the patients a day are unknown.
    """
    estimated = metrics.get("screened", {}).get("targets", metrics)[decisive]["alerts_per_1000"]
    share = rule.alerts_per_1000 if isinstance(rule, Workload) else estimated["value"]
    daily = None if patients_per_day is None or share is None else share * patients_per_day / 1000
    return {
        "target": decisive,
        "flagged_per_1000_patients": share,
        "estimated_per_1000_patients": estimated,
        "patients_per_day": patients_per_day,
        "flagged_per_day": daily,
    }


def predict(model: RiskModel, line: Calibration, part: Part, device: str) -> Predictions:
    """Return the probabilities under a calibration."""
    return Predictions.of(part, probabilities(line.apply(ecg_logits(model, part, device))))


def _simple(model: RiskModel, line: Calibration, cohort: Cohort, device: str) -> dict[str, Predictions]:
    """Return what a model must be better than: the baseline, and its own ECG part without age and sex."""
    train, test = (cohort.parts[split] for split in (Split.TRAIN, Split.TEST))
    others = {baseline_name(train): clinical_baseline(train, test)}
    if model.clinical is not None:
        others[ECG_ALONE] = predict(model, line, test.without_age_and_sex(), device)
    return others


def artefact_of(fitted: Fitted, config: SupervisedConfig, cohort: Cohort, windows: int) -> Artefact:
    """Build the artefact; its version is the encoder, the time and 8 hex digits of the weights' SHA-256."""
    encoder = config.finetuning.encoder
    weights = weights_of(fitted.model, fitted.certainty)
    sha256 = hashlib.sha256(weights).hexdigest()
    now = datetime.now(UTC)
    manifest = Manifest(
        model_version=f"{encoder}-{now:%Y%m%dT%H%M%S}-{sha256[:8]}",
        created_at=now,
        architecture=Architecture.of(encoder, fitted.model),
        preprocessing=Preprocessing.of(config.finetuning.input, windows),
        targets=TARGET_NAMES,
        calibration=fitted.populations.deployed,
        calibration_draws=fitted.populations.draws,
        thresholds=dict(fitted.thresholds),
        decisive=config.decisive,
        training_data=TrainingData(
            fingerprint=cohort.fingerprint,
            ecgs={split: len(part) for split, part in cohort.parts.items()},
            patients={split: part.patient_count for split, part in cohort.parts.items()},
            left_out=dict(cohort.left_out),
        ),
        training_config=config.model_dump(mode="json"),
        training_run={**fitted.run, "referral": dict(cohort.referral), "split": dict(cohort.held_out)},
        metrics=dict(fitted.metrics),
        code=Code(stence=stence.__version__, git_commit=git_commit(), libraries=libraries()),
        files={WEIGHTS: sha256},
    )
    return Artefact(manifest, weights)


def enter(
    connection: Connection,
    folder: str,
    artefact: Artefact,
    verdict: Verdict,
    measured: list[MeasuredForm],
    *,
    by: str,
) -> None:
    """Register the artefact, published in ``folder``, in the state that the verdict gives it, and its forms.

    Failed: rejected. Passed: in shadow, in the place of others. Cannot tell: a candidate, a person decides.
    """
    version = artefact.manifest.model_version
    patients = sum(artefact.manifest.training_data.patients.values())
    why = f"trained on cath reports of {patients} patients"
    if verdict.result is Result.CANNOT_TELL:
        why = f"{why}; {verdict.text()}; a person decides"
    registry.register(connection, folder, artefact, by=by, why=why)
    record_forms(connection, version, measured, by=by, why="the fastest within the bounds, at publishing")
    if verdict.result is Result.FAILED:
        registry.reject(connection, version, by=by, why=verdict.text())
    elif verdict.passed:
        registry.shadow(connection, version, by=by, why=verdict.text())
        registry.make_room(connection, version, by=by)
