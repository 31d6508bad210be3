"""Two populations: the referred, who have labels, and the screened, on whom the model is used.

Probabilities and thresholds are those of the screened population where it can be estimated. Metrics are
measured on referred test patients, and estimated for the screened population by weighting these patients.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stence.cohort import Cohort, Part, Split
from stence.cohort.unreferred import Unreferred
from stence.domain.thresholds import DECIMALS, Rule, Threshold, Workload
from stence.evaluation import calibrate
from stence.evaluation.bootstrap import interval, resamples
from stence.evaluation.evaluate import evaluate
from stence.evaluation.metrics import BinaryPredictions, binary_metrics, resampled_metrics
from stence.evaluation.predictions import Predictions, TargetPredictions, predictions_of_target
from stence.evaluation.screened import MIN_PATIENTS, Referred, Screened, screened, severity_of
from stence.fitting.finetuning import ecg_outputs
from stence.models import TARGET_NAMES, Calibration, RiskModel
from stence.models.calibration import SEVERITIES
from stence.models.coherence import answers, probabilities

HELD = (Split.VALIDATION, Split.CALIBRATION)
"""Referred patients that calibrate: the network learned from neither."""
ESTIMATED = (
    "prevalence",
    "auroc",
    "auprc",
    "calibration_slope",
    "calibration_intercept",
    "sensitivity",
    "specificity",
    "positive_predictive_value",
    "alerts_per_1000",
    "net_benefit",
)

Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Populations:
    """A model's calibrations for the referred and for the screened, or the reason why there is none."""

    referred: Calibration
    screened: Screened | None
    reason: str = ""
    temperature_only: tuple[str, ...] = ()
    """Questions with too few answers for a line of their own."""

    @property
    def deployed(self) -> Calibration:
        """Calibration of the scores that the hospital sees."""
        return self.screened.calibration if self.screened else self.referred

    @property
    def draws(self) -> tuple[Calibration, ...]:
        """Draws of the deployed calibration, which span its uncertainty; none if it was not estimated."""
        return tuple(rounded(draw) for draw in self.screened.draws) if self.screened else ()


@dataclass(frozen=True, slots=True)
class Logits:
    """Logits (n, 6) of a model by split, without training, and of the patients without a study.

    ``projections`` (n, 32) are those of the same ECGs' embeddings, ``unreferred_projections`` likewise.
    """

    parts: Mapping[Split, Reals]
    unreferred: Reals
    projections: Mapping[Split, NDArray[np.float32]]
    unreferred_projections: NDArray[np.float32]

    @classmethod
    def of(cls, model: RiskModel, cohort: Cohort, unreferred: Unreferred, device: str) -> Logits:
        """Compute the logits."""
        found = {split: ecg_outputs(model, cohort.parts[split], device) for split in (*HELD, Split.TEST)}
        others = ecg_outputs(model, unreferred.part, device)
        logits = {split: outputs.logits for split, outputs in found.items()}
        projections = {split: outputs.projections for split, outputs in found.items()}
        return cls(logits, others.logits, projections, others.projections)


def calibrated(logits: Logits, cohort: Cohort, unreferred: Unreferred) -> Populations:
    """Calibrate for the referred on held-out patients, and estimate the screened population."""
    held = held_referred(logits, cohort)
    line = calibrate.fit(held.logits, answers(held.labels), held.weights)
    few = tuple(TARGET_NAMES[i] for i in calibrate.without_own_line(answers(held.labels), held.weights))
    counts = _severities([*cohort.parts.values()])
    found = screened(held, counts, logits.unreferred, unreferred.share_referred)
    if found is None:
        reason = (
            f"{len(logits.unreferred)} patients without a study have a usable ECG whose manifest or file "
            f"names them, and {len(np.unique(held.patients))} referred patients calibrate; at least "
            f"{MIN_PATIENTS} of each are needed. Probabilities and thresholds are for referred patients."
        )
        return Populations(line, None, reason, few)
    return Populations(line, found, temperature_only=few)


def choose_thresholds(
    logits: Logits, cohort: Cohort, unreferred: Unreferred, populations: Populations, rule: Rule
) -> dict[str, Threshold]:
    """Choose each target's threshold: a workload on everybody screened, a sensitivity on referred cases."""
    parts = [cohort.parts[split] for split in HELD]
    risks = probabilities(populations.deployed.apply(np.concatenate([logits.parts[split] for split in HELD])))
    labels, weights = (
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.weights for part in parts]),
    )
    on = f"{sum(part.patient_count for part in parts)} referred patients"
    if populations.screened is None:
        on = f"{on}, as nothing is known of the others"
    if isinstance(rule, Workload) and populations.screened:
        others = probabilities(populations.deployed.apply(logits.unreferred))
        share = unreferred.share_referred
        weights = np.concatenate(
            [weights / weights.sum() * share, np.full(len(others), (1 - share) / len(others))]
        )
        risks = np.concatenate([risks, others])
        labels = np.concatenate([labels, np.full(others.shape, np.nan, np.float32)])
        on = f"{on}, who stand for {share:.0%} of everybody screened, and {len(others)} without a study"
    return {
        name: rule.choose(risks[:, column], labels[:, column], on, weights)
        for column, name in enumerate(TARGET_NAMES)
    }


def measured(
    logits: Logits,
    cohort: Cohort,
    populations: Populations,
    thresholds: Mapping[str, Threshold],
    count: int,
) -> dict[str, Any]:
    """Return the metrics of the referred test patients, and ``screened``: the estimates for everybody.

    Decisions and ranking are those of the deployed probabilities; the calibration of the referred is that of
    probabilities calibrated for them.
    """
    deployed = on_test(logits, cohort, populations.deployed)
    found = evaluate(deployed, thresholds, count, calibrated=on_test(logits, cohort, populations.referred))
    if populations.screened is None:
        return found | {"screened": {"cannot_tell": populations.reason}}
    targets = {
        name: _estimated(
            predictions_of_target(deployed, name, thresholds), deployed, populations.screened, count
        )
        for name in TARGET_NAMES
    }
    return found | {"screened": {**populations.screened.summary, "targets": targets}}


def rounded(calibration: Calibration) -> Calibration:
    """Round a calibration to 5 decimals: enough for an interval, and short in a manifest."""
    weights = calibration.severity_weights
    return Calibration(
        tuple(round(slope, 5) for slope in calibration.slopes),
        tuple(round(intercept, 5) for intercept in calibration.intercepts),
        None if weights is None else tuple(max(round(weight, 5), 1e-5) for weight in weights),
    )


def on_test(logits: Logits, cohort: Cohort, calibration: Calibration) -> Predictions:
    """Return the predictions of the test patients under a calibration."""
    return Predictions.of(
        cohort.parts[Split.TEST], probabilities(calibration.apply(logits.parts[Split.TEST]))
    )


def _estimated(
    of_target: TargetPredictions, predictions: Predictions, found: Screened, count: int
) -> dict[str, Any]:
    """Estimate a target's metrics for everybody: referred test patients, weighted by their severity.

    Each resample of patients goes with one draw of the weights.
    """
    severity = severity_of(predictions.labels[of_target.rows])
    known = severity >= 0
    kept, patients = of_target.predicted.among(known), predictions.patients[of_target.rows][known]
    draws = np.array([each.severity_weights for each in found.draws])[:, severity[known]]
    best = np.array(found.calibration.severity_weights)[severity[known]]
    predicted = replace(kept, weight=kept.weights * best)
    blocks, start = [], 0
    for block in resamples(patients, count):
        turn = np.arange(start, start + len(block)) % len(draws)
        weighted = block * draws[turn] / best
        blocks.append(resampled_metrics(predicted, weighted) | _benefit(predicted, weighted))
        start += len(block)
    once = np.ones((1, len(patients)))
    point = binary_metrics(predicted) | {"net_benefit": float(_benefit(predicted, once)["net_benefit"][0])}
    return {"patients": len(np.unique(patients))} | {
        name: interval(point[name], np.concatenate([block[name] for block in blocks])) for name in ESTIMATED
    }


def _benefit(predicted: BinaryPredictions, draws: Reals) -> dict[str, Reals]:
    """Return the net benefit at the threshold of each resample (Vickers & Elkin 2006)."""
    odds = predicted.threshold / max(1 - predicted.threshold, 10.0**-DECIMALS)
    weights = draws * predicted.weights
    gain = np.where(predicted.label == 1, 1.0, -odds) * predicted.flagged
    return {"net_benefit": weights @ gain / weights.sum(axis=1)}


def held_referred(logits: Logits, cohort: Cohort) -> Referred:
    """Return the referred patients who calibrate."""
    parts = [cohort.parts[split] for split in HELD]
    return Referred(
        np.concatenate([logits.parts[split] for split in HELD]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.patients for part in parts]),
        np.concatenate([part.weights for part in parts]),
    )


def _severities(parts: list[Part]) -> NDArray[np.int64]:
    """Count the referred patients by severity: each patient's first study with a known severity."""
    severity = np.concatenate([severity_of(part.labels) for part in parts])
    patients = np.concatenate([part.patients for part in parts])
    known = severity >= 0
    first = np.unique(patients[known], return_index=True)[1]
    return np.bincount(severity[known][first], minlength=SEVERITIES)
