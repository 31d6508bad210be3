"""Evaluate a fine-tuned model on each label separately; no metric depends on the other labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from stence.cohort import Part, Split
from stence.domain.thresholds import DECIMALS, Rule
from stence.evaluation import calibrate
from stence.evaluation.evaluate import measured
from stence.evaluation.metrics import BinaryPredictions
from stence.fitting.finetuning import ecg_logits
from stence.models import Calibration, RiskModel, Threshold

MIN_TO_CALIBRATE = 10
"""Minimum calibration patients with, and without, a label; fewer would distort its probabilities."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Calibration, thresholds and metrics of a model; ``metrics`` by label, as JSON."""

    calibration: Calibration
    thresholds: Mapping[str, Threshold]
    metrics: Mapping[str, Any]


def measure(
    model: RiskModel,
    parts: Mapping[Split, Part],
    names: tuple[str, ...],
    rule: Rule,
    resamples: int,
    device: str,
) -> Measured:
    """Calibrate each label, choose its threshold on validation patients, and evaluate it on test patients.

    A label with fewer than ``MIN_TO_CALIBRATE`` patients with or without it is not calibrated, and its
    metrics say so.
    """
    line, calibrated = _calibrate(ecg_logits(model, part := parts[Split.CALIBRATION], device), part)
    asked = {
        split: np.round(expit(line.apply(ecg_logits(model, parts[split], device))), DECIMALS)
        for split in (Split.VALIDATION, Split.TEST)
    }
    thresholds, metrics = {}, {}
    for column, name in enumerate(names):
        thresholds[name] = _choose(rule, asked[Split.VALIDATION], parts[Split.VALIDATION], column)
        probability, label, patients = _known(asked[Split.TEST], parts[Split.TEST], column)
        predicted = BinaryPredictions(probability, label, thresholds[name].value)
        metrics[name] = {
            "calibrated": bool(calibrated[column]),
            "validation_cases": int((parts[Split.VALIDATION].labels[:, column] == 1).sum()),
            **measured(predicted, patients, resamples),
        }
    return Measured(line, thresholds, metrics)


def patients_by_answer(part: Part, column: int) -> tuple[int, int]:
    """Count the patients with an ECG that has the label, and with an ECG that does not."""
    label = part.labels[:, column]
    return len(np.unique(part.patients[label == 1])), len(np.unique(part.patients[label == 0]))


def _calibrate(logits: NDArray[np.float64], part: Part) -> tuple[Calibration, NDArray[np.bool_]]:
    labels = part.labels.copy()
    enough = [min(patients_by_answer(part, column)) >= MIN_TO_CALIBRATE for column in range(labels.shape[1])]
    calibrated = np.array(enough)
    labels[:, ~calibrated] = np.nan
    lines = [
        calibrate.fit(logits[:, [column]], labels[:, [column]], part.weights)
        for column in range(labels.shape[1])
    ]
    slopes = tuple(line.slopes[0] for line in lines)
    return Calibration(slopes, tuple(line.intercepts[0] for line in lines)), calibrated


def _choose(rule: Rule, probabilities: NDArray[np.float64], part: Part, column: int) -> Threshold:
    probability, label, patients = _known(probabilities, part, column)
    on = f"{len(label)} ECGs of {len(np.unique(patients))} validation patients"
    return rule.choose(probability, label, on)


def _known(
    probabilities: NDArray[np.float64], part: Part, column: int
) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.int64]]:
    """Return probability, label and patient of the ECGs with a known label, each (m,)."""
    known = ~np.isnan(part.labels[:, column])
    return probabilities[known, column], part.labels[known, column], part.patients[known]
