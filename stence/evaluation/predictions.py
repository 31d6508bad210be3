"""A model's predictions for ECGs with known labels: per target, grey zone and subgroup.

Every patient weighs one, shared equally among the patient's ECGs with a known label of the target.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stence.cohort import Part
from stence.domain.subgroups import AGE_BANDS, SEXES, band_name
from stence.domain.thresholds import DECIMALS
from stence.evaluation.metrics import BinaryPredictions, patient_shares
from stence.models import TARGET_NAMES, TARGETS, Region, RiskScorer, Threshold

GREY_ZONES = ((0, 90), (50, 70))
"""(low, high) in percent. Patients between both are neither clearly well nor clearly ill, and left out."""
BATCH = 256
"""Number of ECGs in memory."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """A model's ``probabilities`` (n, 6) for ECGs, and their ``labels`` (n, 6).

    ``patients`` (n,) identify patients, ``degrees`` (n, 16) in percent, ``sex`` (n,) F, M or empty, ``age``
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
        """Build predictions for a part of the cohort. Probabilities are rounded as the scorer rounds them."""
        rounded = np.round(probabilities, DECIMALS)
        return cls(rounded, part.labels, part.patients, part.degrees, part.sex, part.age)

    def subgroups(self) -> dict[str, NDArray[np.bool_]]:
        """Return the members (n,) of each sex and age band, without empty subgroups."""
        sexes = {name: self.sex == code for name, code in SEXES.items()}
        bands = {band_name(*band): (self.age >= band[0]) & (self.age < band[1]) for band in AGE_BANDS}
        return {name: members for name, members in (sexes | bands).items() if members.any()}

    def grey_zone_labels(self, low: float, high: float) -> NDArray[np.float32]:
        """Return labels by the worst segment, major or minor: 1 from ``high``, 0 up to ``low``, else NaN."""
        worst = self.degrees.max(axis=1)
        return np.where(worst >= high, 1, np.where(worst <= low, 0, np.nan)).astype(np.float32)


def predict(scorer: RiskScorer, part: Part) -> Predictions:
    """Predict a part of the cohort with a model version. The part may not be the training split, stored raw.

    Raises ValueError if the ECGs were preprocessed with another number of windows than the model's.
    """
    batches = [slice(start, start + BATCH) for start in range(0, len(part), BATCH)]
    scored = [scorer.score(part.signals[part.rows[batch]], part.clinical[batch]) for batch in batches]
    return Predictions.of(part, np.concatenate([np.empty((0, len(TARGET_NAMES))), *scored]))


@dataclass(frozen=True, slots=True)
class TargetPredictions:
    """Predictions of a named target for the ECGs with a known label. ``rows`` (m,) are their numbers.

    The sample weights are per patient: 1 / number of the patient's ECGs with a known label.
    """

    name: str
    predicted: BinaryPredictions
    rows: NDArray[np.intp]

    def among(self, members: NDArray[np.bool_]) -> TargetPredictions:
        """Return the predictions for the members (n,) of a subgroup only."""
        kept = members[self.rows]
        return TargetPredictions(self.name, self.predicted.among(kept), self.rows[kept])


def target_predictions(
    predictions: Predictions, thresholds: Mapping[str, Threshold]
) -> Iterator[TargetPredictions]:
    """Yield predictions of the six targets, then of the grey zones, with known labels only.

    The high degree of a grey zone is the degree of a target.
    """
    for column, name in enumerate(TARGET_NAMES):
        yield _of_target(predictions, name, column, predictions.labels[:, column], thresholds)
    by_degree = {target.degree: i for i, target in enumerate(TARGETS) if target.region is Region.ANY}
    for low, high in GREY_ZONES:
        labels = predictions.grey_zone_labels(low, high)
        yield _of_target(predictions, grey_zone_name(low, high), by_degree[high], labels, thresholds)


def predictions_of_target(
    predictions: Predictions, target: str, thresholds: Mapping[str, Threshold]
) -> TargetPredictions:
    """Return the predictions of one target."""
    return next(
        of_target for of_target in target_predictions(predictions, thresholds) if of_target.name == target
    )


def grey_zone_name(low: float, high: float) -> str:
    """Return the name of a grey zone in ``metrics``.

    >>> grey_zone_name(50, 70)
    'grey_zone_50_70'
    """
    return f"grey_zone_{low:g}_{high:g}"


def _of_target(
    predictions: Predictions,
    name: str,
    column: int,
    labels: NDArray[np.float32],
    thresholds: Mapping[str, Threshold],
) -> TargetPredictions:
    rows = np.flatnonzero(~np.isnan(labels))
    threshold = thresholds[TARGET_NAMES[column]].value
    shares = patient_shares(predictions.patients[rows])
    predicted = BinaryPredictions(predictions.probabilities[rows, column], labels[rows], threshold, shares)
    return TargetPredictions(name, predicted, rows)
