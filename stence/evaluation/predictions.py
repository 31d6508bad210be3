"""What a model says about ECGs whose truth is known: questions to it, and subgroups of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stence.cohort import Part
from stence.domain.subgroups import AGE_BANDS, SEXES, band_name
from stence.domain.thresholds import DECIMALS
from stence.evaluation.metrics import BinaryPredictions
from stence.models import TARGET_NAMES, TARGETS, Region, RiskScorer, Threshold

GREY_ZONES = ((0, 90), (50, 70))
"""(low, high) in percent, for questions that leave out who is neither clearly well nor clearly ill."""
BATCH = 256
"""ECGs in memory at a time."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a model says of ECGs, ``probabilities`` (n, 6), and the truth about them, ``labels`` (n, 6).

    ``patients`` (n,) tell patients apart, ``degrees`` (n, 16) in percent, ``sex`` (n,) F, M or empty, ``age``
    (n,) in years or NaN.
    """

    probabilities: NDArray[np.float64]
    labels: NDArray[np.float32]
    patients: NDArray[np.int64]
    degrees: NDArray[np.float32]
    sex: NDArray[np.str_]
    age: NDArray[np.float64]

    @classmethod
    def of(cls, part: Part, probabilities: NDArray[np.float64]) -> Predictions:
        """What a model says of a part of the cohort; rounded as the scorer rounds what it writes."""
        rounded = np.round(probabilities, DECIMALS)
        return cls(rounded, part.labels, part.patients, part.degrees, part.sex, part.age)

    def subgroups(self) -> dict[str, NDArray[np.bool_]]:
        """Who belongs to each sex and age band, (n,); only those that anybody belongs to."""
        sexes = {name: self.sex == code for name, code in SEXES.items()}
        bands = {band_name(*band): (self.age >= band[0]) & (self.age < band[1]) for band in AGE_BANDS}
        return {name: members for name, members in (sexes | bands).items() if members.any()}

    def grey_zone_labels(self, low: float, high: float) -> NDArray[np.float32]:
        """1 where the worst segment, major or minor, is at least ``high``, 0 up to ``low``, else NaN."""
        worst = self.degrees.max(axis=1)
        return np.where(worst >= high, 1, np.where(worst <= low, 0, np.nan)).astype(np.float32)


def predict(scorer: RiskScorer, part: Part) -> Predictions:
    """What a model version says of a part of the cohort; not of the training split, which is kept raw.

    Raises ValueError where the ECGs were prepared with another number of windows than the model's.
    """
    batches = [part.rows[start : start + BATCH] for start in range(0, len(part), BATCH)]
    scored = [scorer.score(part.signals[rows]) for rows in batches]
    return Predictions.of(part, np.concatenate([np.empty((0, len(TARGET_NAMES))), *scored]))


@dataclass(frozen=True, slots=True)
class TargetPredictions:
    """A named question to some ECGs: those of ``rows`` (m,), in the order of the question's."""

    name: str
    predicted: BinaryPredictions
    rows: NDArray[np.intp]

    def among(self, members: NDArray[np.bool_]) -> TargetPredictions:
        """The same question to the members (n,) of a subgroup only."""
        kept = members[self.rows]
        of = self.predicted
        predicted = BinaryPredictions(of.probability[kept], of.label[kept], of.threshold)
        return TargetPredictions(self.name, predicted, self.rows[kept])


def target_predictions(
    predictions: Predictions, thresholds: Mapping[str, Threshold]
) -> Iterator[TargetPredictions]:
    """The six targets, then the grey zones, whose high degree is a target's; settled labels only."""
    for column, name in enumerate(TARGET_NAMES):
        yield _of_target(predictions, name, column, predictions.labels[:, column], thresholds)
    by_degree = {target.degree: i for i, target in enumerate(TARGETS) if target.region is Region.ANY}
    for low, high in GREY_ZONES:
        labels = predictions.grey_zone_labels(low, high)
        yield _of_target(predictions, grey_zone_name(low, high), by_degree[high], labels, thresholds)


def predictions_of_target(
    predictions: Predictions, target: str, thresholds: Mapping[str, Threshold]
) -> TargetPredictions:
    """The question of one target."""
    return next(
        of_target for of_target in target_predictions(predictions, thresholds) if of_target.name == target
    )


def grey_zone_name(low: float, high: float) -> str:
    """What a grey zone's question is called in ``metrics``."""
    return f"grey_zone_{low:g}_{high:g}"


def _of_target(
    predictions: Predictions,
    name: str,
    column: int,
    labels: NDArray[np.float32],
    thresholds: Mapping[str, Threshold],
) -> TargetPredictions:
    rows = np.flatnonzero(~np.isnan(labels))
    probability = predictions.probabilities[rows, column]
    return TargetPredictions(
        name, BinaryPredictions(probability, labels[rows], thresholds[TARGET_NAMES[column]].value), rows
    )
