"""Outcomes: scores compared with the cath reports that arrived later.

An episode is a patient's ECGs of the window up to the study, if a study followed within
``settings.outcome_days`` of the last ECG. Each ECG weighs its share of the episode, so that every episode
weighs the same. The window ends ``outcome_days`` before the monitored day: every patient in the window had
this time to be referred.

Every metric comes in two forms. The naive form describes the referred patients. The form ``_weighted``
estimates the metric for all scored patients: each outcome is weighted with the inverse probability of
referral (``stence.evaluation.propensity`` states the assumptions). Intervals resample patients, and estimate
the probabilities of referral anew in each resample.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from stence.domain.targets import TARGET_NAMES
from stence.domain.windows import Window
from stence.evaluation import metrics, propensity
from stence.evaluation.bootstrap import bounds, resamples
from stence.evaluation.follow_up import FollowUp, follow_up_window, read_follow_up
from stence.evaluation.metrics import BinaryPredictions
from stence.evaluation.watched import Watched
from stence.monitoring.metrics import Metric
from stence.settings import Settings

MIN_COUNT = 10
"""Minimum number of ECGs with the stenosis, and of ECGs without."""
BINS = 10
"""Bins of the calibration curve: tenths of the scored ECGs by probability."""
WEIGHTED = "_weighted"
ALL = "target"

Rows = NDArray[np.float64]


def window_of(day: Window, settings: Settings) -> Window:
    """The window of ECGs whose outcomes are known at the end of ``day``; metrics are written for it."""
    return follow_up_window(day, settings.outcome_days)


def measure(engine: Engine, settings: Settings, window: Window, model: Watched) -> Iterator[Metric]:
    """Metrics of the outcomes of ``window``, which ``window_of`` gives. Raises DatabaseUnavailableError."""
    with engine.connect() as connection:
        follow_up = read_follow_up(connection, window, settings.outcome_days, model)
    for metric in outcomes(follow_up, model.thresholds, settings.monitor_bootstraps):
        yield replace(metric, model_version=model.version)


def outcomes(
    follow_up: FollowUp, thresholds: Mapping[str, float], count: int, *, sliced: bool = True
) -> Iterator[Metric]:
    """Metrics of each target with enough outcomes; with ``sliced``, of each slice, too."""
    if not follow_up.referred.any():
        return
    weights = OutcomeWeights.of(follow_up, count)
    everyone = np.ones(len(follow_up.referred), dtype=bool)
    slices = [(ALL, "", everyone)]
    if sliced:
        slices += [(f"{ALL}|{kind}", f"|{name}", members) for kind, name, members in follow_up.slices()]
    for column, target in enumerate(TARGET_NAMES):
        for key, name, members in slices:
            rows = members & ~np.isnan(follow_up.labels[:, column])
            probability, label = follow_up.probabilities[rows, column], follow_up.labels[rows, column]
            predicted = BinaryPredictions(probability, label, thresholds[target])
            found = _judged(predicted, weights.among(rows), follow_up.patients[rows], int(members.sum()))
            for metric in found:
                yield replace(metric, slice_key=key, slice_value=f"{target}{name}")
            if key == ALL:
                yield from _curves(predicted, weights.among(rows), target)


@dataclass(frozen=True, slots=True)
class OutcomeWeights:
    """Weights of the m ECGs with an outcome: ``naive`` and ``weighted``, (1 + r, m).

    The first row is for the patients as they are, the others are for resamples.
    """

    naive: Rows
    weighted: Rows
    rows: NDArray[np.intp]
    """Row indices of these ECGs."""

    @classmethod
    def of(cls, follow_up: FollowUp, count: int) -> OutcomeWeights:
        """Weights of all ECGs that have an outcome, with ``count`` resamples."""
        people, rows = follow_up.people(), np.flatnonzero(follow_up.referred)
        place = np.cumsum(people.referred)[follow_up.patients[rows]] - 1
        everyone, share = np.arange(len(people.referred)), follow_up.shares[rows]
        draws = chain([np.ones((1, len(everyone)))], resamples(everyone, count))
        naive, weighted = [], []
        for drawn, found in propensity.propensities(people, draws):
            times = drawn[:, follow_up.patients[rows]] * share
            naive.append(times)
            weighted.append(times * propensity.inverse(found)[:, place])
        return cls(np.concatenate(naive), np.concatenate(weighted), rows)

    def by_suffix(self) -> tuple[tuple[str, Rows], tuple[str, Rows]]:
        """Both weights, each with the suffix of its metrics' names."""
        return ("", self.naive), (WEIGHTED, self.weighted)

    def among(self, members: NDArray[np.bool_]) -> OutcomeWeights:
        """Weights of the ECGs in ``members`` (all ECGs,) only."""
        kept = members[self.rows]
        return OutcomeWeights(self.naive[:, kept], self.weighted[:, kept], self.rows[kept])


def _judged(
    predicted: BinaryPredictions, weights: OutcomeWeights, patients: NDArray[np.int64], scored: int
) -> Iterator[Metric]:
    """Metrics of one slice. ``scored`` counts its ECGs; ``predicted`` holds those with an outcome."""
    count = len(predicted.label)
    yield Metric("outcome_count", count, scored)
    if not _enough(predicted):
        return
    _, person = np.unique(patients, return_inverse=True)
    people = np.bincount(person, weights=weights.weighted[0]).astype(np.float64)
    yield Metric("effective_sample_size", propensity.effective_sample_size(people), len(people))
    for suffix, rows in weights.by_suffix():
        for name, values in judged_figures(predicted, rows).items():
            yield from _metric(f"outcome_{name}{suffix}", values, count)


def _enough(predicted: BinaryPredictions) -> bool:
    cases = int(predicted.label.sum())
    return min(cases, len(predicted.label) - cases) >= MIN_COUNT


def judged_figures(predicted: BinaryPredictions, weights: Rows) -> dict[str, Rows]:
    """Each metric for each row of ``weights`` (r, m)."""
    areas, precisions = metrics.ranking(predicted, weights)
    slope, intercept = metrics.calibration_lines(predicted, weights)
    case, flagged = predicted.label.astype(np.float64), predicted.flagged.astype(np.float64)
    found = weights @ (case * flagged)
    return {
        "auroc": areas,
        "auprc": precisions,
        "ppv": metrics.ratio(found, weights @ flagged),
        "sensitivity": metrics.ratio(found, weights @ case),
        "ece": metrics.calibration_errors(predicted, weights),
        "calibration_slope": slope,
        "calibration_intercept": intercept,
    }


def _curves(predicted: BinaryPredictions, weights: OutcomeWeights, target: str) -> Iterator[Metric]:
    """Predicted and observed share in each tenth of patients by probability; slices ``target|1`` to 10."""
    if not _enough(predicted):
        return
    for suffix, rows in weights.by_suffix():
        tenth = _tenths(predicted.probability, rows[0])
        for number in np.unique(tenth).tolist():
            inside = tenth == number
            total = rows[:, inside].sum(axis=1)
            for name, of in (("observed", predicted.label), ("predicted", predicted.probability)):
                values = metrics.ratio(rows[:, inside] @ of[inside].astype(np.float64), total)
                for metric in _metric(f"outcome_calibration_{name}{suffix}", values, int(inside.sum())):
                    yield replace(metric, slice_key=f"{ALL}|bin", slice_value=f"{target}|{number + 1}")


def _tenths(probability: Rows, weight: Rows) -> NDArray[np.int64]:
    """The tenth, 0 to 9, of each of (m,) ECGs. ECGs of equal probability share a tenth."""
    values, place = np.unique(probability, return_inverse=True)
    mass = np.bincount(place, weights=weight, minlength=len(values))
    middle = (np.cumsum(mass) - mass / 2) / mass.sum()
    return np.minimum((middle * BINS).astype(np.int64), BINS - 1)[place]


def _metric(name: str, values: Rows, count: int) -> Iterator[Metric]:
    """The first of ``values`` with the interval of the others. Undefined metrics are left out."""
    lower, upper = bounds(values[1:])
    if np.isfinite(values[0]) and np.isfinite(lower):
        yield Metric(name, float(values[0]), count, lower, upper)
