"""Ablation: what the ECG, and age and sex, contribute to a model, per patient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stence.evaluation.bootstrap import interval, resamples
from stence.evaluation.metrics import patient_shares, ranked
from stence.evaluation.predictions import Predictions
from stence.models import TARGET_NAMES

MEAN = "mean of the targets"

Rows = NDArray[np.float64]


def ablation(model: Predictions, others: Mapping[str, Predictions], count: int) -> dict[str, Any]:
    """Return the AUROC of a model and of others by target, and the paired differences, as JSON.

    All must predict the same ECGs in the same order. Every patient weighs the same, shared among the
    patient's ECGs with a known label. Intervals come from ``count`` resamples of patients; a resample gives
    one difference. An entry is ``{"model": {value, lower, upper}, "others": {name: {"auroc": ...,
    "gain": ...}}}``; a gain is the model's AUROC minus the other's.
    """
    mine = _areas(model, count)
    theirs = {name: _areas(other, count) for name, other in others.items()}
    return {
        target: {
            "model": _interval(mine[row]),
            "others": {
                name: {"auroc": _interval(areas[row]), "gain": _interval(mine[row] - areas[row])}
                for name, areas in theirs.items()
            },
        }
        for row, target in enumerate((*TARGET_NAMES, MEAN))
    }


def _areas(predictions: Predictions, count: int) -> Rows:
    """Return AUROCs (targets and their mean, 1 + count): of all patients, then of each resample."""
    everyone = np.ones((1, len(predictions.labels)))
    blocks = [everyone, *resamples(predictions.patients, count)]
    areas = np.hstack([_by_target(predictions, weights) for weights in blocks])
    return np.vstack([areas, areas.mean(axis=0)])


def _by_target(predictions: Predictions, weights: Rows) -> Rows:
    """Return the AUROC (targets, r) of resamples ``weights`` (r, n)."""
    areas = []
    for probability, label in zip(predictions.probabilities.T, predictions.labels.T, strict=True):
        known = ~np.isnan(label)
        drawn = weights[:, known] * patient_shares(predictions.patients[known])
        areas.append(ranked(probability[known], drawn * (label[known] == 1), drawn * (label[known] == 0))[0])
    return np.stack(areas)


def _interval(areas: Rows) -> dict[str, float | None]:
    return interval(float(areas[0]), areas[1:])
