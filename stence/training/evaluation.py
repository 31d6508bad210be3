"""The last step of a training: evaluate the model, compare it with the champion, describe it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Engine

from stence import registry
from stence.cohort import Cohort, Split
from stence.cohort.unreferred import read_unreferred
from stence.database.outage import transact
from stence.domain.targets import DECISIVE
from stence.ecg.recipes import Recipe
from stence.errors import StenceError
from stence.evaluation.evaluate import auroc as mean_auroc
from stence.evaluation.metrics import auroc
from stence.evaluation.paired import areas
from stence.evaluation.pictures import histories, pictures
from stence.evaluation.predictions import Predictions, predict, predictions_of_target
from stence.fitting.baseline import clinical_baseline
from stence.fitting.finetuning import ecg_logits
from stence.fitting.studies import rows_of, targets_of
from stence.fitting.teacher import study_logits
from stence.models import ANGIOGRAPHIC_TARGETS, TARGET_NAMES, RiskScorer
from stence.models.coherence import probabilities
from stence.objects import ObjectStore
from stence.progress import Progress
from stence.registry import Artefact
from stence.settings import Settings
from stence.training import stages
from stence.training.attention import NO_TEACHER, Attention
from stence.training.config import SupervisedConfig
from stence.training.gate import Circumstances, GateConfig, Verdict, judge, without_luck
from stence.training.model_card import model_card
from stence.training.model_card.card import ATTENTION, COURSES
from stence.training.publishing import Fitted, artefact_of, finish
from stence.training.publishing import predict as predict_fitted
from stence.training.retrieval import retrieval
from stence.training.shared_space import StudyPlaces, find_neighbourhood
from stence.training.stages import TrainingWorkspace


class Rival(NamedTuple):
    """The champion to compare with, or else, if there is one, why it cannot be compared."""

    champion: RiskScorer | None
    hindrance: str | None = None


def find_champion(
    engine: Engine, store: ObjectStore, settings: Settings, recipe: Recipe, windows: int
) -> RiskScorer | None:
    """Load the champion for a comparison on ``windows`` of ``recipe``; None if there is no champion.

    Raises ArtefactError if it is damaged, StenceError if it reads another recipe or other windows.
    """
    rival = find_rival(engine, store, settings, recipe, windows)
    if rival.hindrance:
        raise StenceError(
            f"{rival.hindrance}: choose the champion's recipe and windows, or train with stence train."
        )
    return rival.champion


def find_rival(engine: Engine, store: ObjectStore, settings: Settings, recipe: Recipe, windows: int) -> Rival:
    """Load the champion if it can be compared on ``windows`` of ``recipe``. Raises ArtefactError."""
    found = transact(engine, settings.outage_seconds, registry.champion)
    if found is None:
        return Rival(None)
    champion = registry.load(found, store, settings)
    if champion.recipe != recipe:
        return Rival(
            None,
            f"The champion {champion.model_version} uses the input recipe {champion.recipe.version}, but "
            f"this configuration uses {recipe.version}, so the two cannot be compared",
        )
    if champion.windows != windows:
        return Rival(
            None,
            f"The champion {champion.model_version} reads {champion.windows} windows of an ECG, but "
            f"this configuration {windows} (STENCE_WINDOWS_PER_ECG), so the two cannot be compared",
        )
    return Rival(champion)


def evaluate_model(
    workspace: TrainingWorkspace, weights: Mapping[str, str], windows: int, device: str, progress: Progress
) -> tuple[Fitted, StudyPlaces]:
    """Calibrate the model, and evaluate it and the earlier stages on the test patients.

    ``weights`` names the initial weights of each network, in words. Return the training studies' places in
    the model's shared space too.
    """
    model, histories = (
        workspace.risk_model(),
        {stage: workspace.history(stage) for stage in stages.STAGES},
    )
    unreferred = read_unreferred(
        workspace.folder / stages.UNREFERRED, workspace.config.finetuning.input, windows
    )
    fitted = finish(model, histories, workspace.cohort, unreferred, workspace.config, device, progress)
    test, pair = workspace.cohort.parts[Split.TEST], workspace.pair().to(device)
    neighbourhood = find_neighbourhood(workspace, windows, device)
    model.shared_space = neighbourhood.space
    further = {
        "teacher": teacher_metrics(workspace, device),
        "seeds": seed_spread(workspace, device),
        "retrieval": retrieval(pair, test, workspace.angiograms, Split.TEST, windows, device),
        "shared_space": {"neighbours": neighbourhood.metrics},
    }
    run = fitted.run | {"weights": dict(weights)}
    fitted = replace(fitted, metrics={**fitted.metrics, **further}, run=run)
    return fitted, neighbourhood.studies


def teacher_metrics(workspace: TrainingWorkspace, device: str) -> dict[str, Any]:
    """Compute the teacher's AUROC for each of its 11 targets on the test patients' angiograms."""
    rows = rows_of(workspace.angiograms, Split.TEST)
    targets = targets_of(workspace.angiograms, workspace.config.teacher.threshold, None)[rows]
    logits = study_logits(workspace.teacher().to(device), workspace.angiograms, rows, device)
    settled = ~np.isnan(targets).any(axis=1)
    areas = [auroc(logits[settled, i], targets[settled, i]) for i in range(len(ANGIOGRAPHIC_TARGETS))]
    named = zip(ANGIOGRAPHIC_TARGETS, areas, strict=True)
    return {
        "studies": int(settled.sum()),
        "auroc": {name: None if np.isnan(area) else round(area, 4) for name, area in named},
    }


def seed_spread(workspace: TrainingWorkspace, device: str) -> dict[str, list[float]]:
    """Return the targets' AUROCs on the test patients, for each seed of the fine-tuning in order."""
    test = workspace.cohort.parts[Split.TEST]
    found: dict[str, list[float]] = {name: [] for name in TARGET_NAMES}
    for number in range(workspace.config.seeds):
        predicted = probabilities(ecg_logits(workspace.risk_model(number), test, device))
        for column, name in enumerate(TARGET_NAMES):
            only = slice(column, column + 1)
            area = mean_auroc(predicted[:, only], test.labels[:, only], test.patients)
            found[name].append(round(area, 4))
    return {name: areas for name, areas in found.items() if np.isfinite(areas).all()}


class Judged(NamedTuple):
    """A model as it is described, its predictions for the test patients, and the gate's verdict."""

    fitted: Fitted
    predicted: Predictions
    verdict: Verdict


def judged(
    fitted: Fitted,
    rival: Rival,
    cohort: Cohort,
    config: SupervisedConfig,
    days_since_look: float | None,
    device: str,
) -> Judged:
    """Compare a model with its rival on the test patients, and correct its AUROC for the selection."""
    test = cohort.parts[Split.TEST]
    challenger = predict_fitted(fitted.model, fitted.populations.referred, test, device)
    reigning = predict(rival.champion, test) if rival.champion else None
    verdict = verdict_on(challenger, reigning, fitted, cohort, config.gate, days_since_look, rival.hindrance)
    corrected = corrected_for_selection(fitted, challenger, reigning, config.gate)
    return Judged(corrected, challenger, verdict)


def verdict_on(
    challenger: Predictions,
    champion: Predictions | None,
    fitted: Fitted,
    cohort: Cohort,
    config: GateConfig,
    days_since_look: float | None,
    hindrance: str | None = None,
) -> Verdict:
    """Return the gate's verdict; both models and the clinical baseline see the same test patients."""
    parts = cohort.parts
    return judge(
        challenger,
        champion,
        fitted.thresholds,
        config,
        learned_from=np.concatenate([part.patients for split, part in parts.items() if split != Split.TEST]),
        counts=parts[Split.TEST].sample_weight,
        baseline=clinical_baseline(parts[Split.TRAIN], parts[Split.TEST]),
        circumstances=Circumstances(days_since_look, _screened_workload(fitted, config.target), hindrance),
    )


def _screened_workload(fitted: Fitted, target: str) -> float | None:
    """Return the alerts per 1,000 people among everybody screened; None if they are not estimated."""
    found = fitted.metrics.get("screened", {}).get("targets", {}).get(target)
    return found["alerts_per_1000"]["value"] if found else None


def corrected_for_selection(
    fitted: Fitted, challenger: Predictions, champion: Predictions | None, config: GateConfig
) -> Fitted:
    """Replace the AUROC of the target that decides by the one without luck; keep the measured one beside it.

    Without a champion nothing was selected, and the AUROC stays.
    """
    if champion is None:
        return fitted
    new, old = (
        predictions_of_target(each, config.target, fitted.thresholds) for each in (challenger, champion)
    )
    found = areas([new.predicted, old.predicted], challenger.patients[new.rows])
    if not np.isfinite(found.values).all():
        return fitted
    measured = fitted.metrics[config.target]
    shown = {"auroc": without_luck(found, config), "auroc_measured": measured["auroc"]}
    return replace(fitted, metrics={**fitted.metrics, config.target: {**measured, **shown}})


def described(
    judged: Judged, rival: Rival, cohort: Cohort, config: SupervisedConfig, windows: int
) -> Artefact:
    """Build the artefact; its manifest holds the verdict and the version of the champion."""
    artefact = artefact_of(judged.fitted, config, cohort, windows)
    champion = rival.champion.model_version if rival.champion else None
    gate = judged.verdict.as_json() | {"champion": champion}
    return Artefact(artefact.manifest.model_copy(update={"gate": gate}), artefact.weights)


def with_stages(
    artefact: Artefact, workspace: TrainingWorkspace, store: ObjectStore, prefix: str
) -> Artefact:
    """Store the weights of teacher and pretraining below ``prefix``; the manifest lists their files."""
    manifest, kept = artefact.manifest, {}
    for stage in (stages.TEACHER, stages.PRETRAINING):
        content = workspace.result(stage).read_bytes()
        store.put(key := f"{prefix}{manifest.model_version}/{stage}.safetensors", content)
        kept[key] = hashlib.sha256(content).hexdigest()
    run = manifest.training_run | {"stage_weights": kept}
    return Artefact(manifest.model_copy(update={"training_run": run}), artefact.weights)


def with_card(
    artefact: Artefact,
    challenger: Predictions,
    store: ObjectStore,
    prefix: str,
    attention: Attention = NO_TEACHER,
) -> Artefact:
    """Store the model card below ``prefix``; the manifest lists its files.

    ``attention`` is the picture of the teacher's attention; the manifest says how many frames are not on it.
    """
    run = artefact.manifest.training_run | {"withheld_frames": attention.withheld}
    manifest = artefact.manifest.model_copy(update={"training_run": run})
    predicted = predictions_of_target(challenger, DECISIVE, manifest.thresholds).predicted
    drawn = pictures(predicted) | {COURSES: histories(manifest.training_run["stages"])}
    drawn |= {ATTENTION: attention.picture} if attention.picture else {}
    card = registry.publish_card(store, prefix, manifest.model_version, model_card(manifest, drawn))
    return Artefact(manifest.model_copy(update={"card": card}), artefact.weights)
