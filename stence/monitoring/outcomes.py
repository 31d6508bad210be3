"""Outcomes: scores compared with the cath reports that arrived later.

An episode is a patient's ECGs of the window up to the study, if a study followed within
``settings.outcome_days`` of the last ECG. Each ECG weighs its share of the episode, so that every episode
weighs the same. The window ends ``outcome_days`` before the monitored day: every patient in the window had
this time to be referred. A study after that time is censored: the patient counts as referred, without an
outcome.

A metric is written for three populations (``stence.evaluation.outcome_weights``): without a suffix, of the
referred patients; ``_weighted``, of all scored patients; ``_overlap``, of those whose referral was open.
Beside it stands what it rests on. Below the bounds of ``stence.monitoring.withheld`` the metrics of a
population are withheld, and the reason is written instead. All are per patient.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from stence.domain.targets import TARGET_NAMES
from stence.domain.windows import Window
from stence.evaluation import judged, linearised
from stence.evaluation.follow_up import FollowUp, follow_up_window, read_follow_up
from stence.evaluation.intervals import Interval, on_logit_scale
from stence.evaluation.metrics import BinaryPredictions
from stence.evaluation.outcome_weights import (
    NAIVE,
    WEIGHTED,
    OutcomeWeights,
    outcome_weights,
)
from stence.evaluation.watched import Watched
from stence.monitoring.metrics import Metric
from stence.monitoring.withheld import Overlap, Support, reason
from stence.settings import Settings

BINS = 10
"""Bins of the calibration curve: tenths of the scored ECGs by probability."""
ALL = "target"

Floats = NDArray[np.float64]


def window_of(day: Window, settings: Settings) -> Window:
    """The window of ECGs whose outcomes are known at the end of ``day``; metrics are written for it."""
    return follow_up_window(day, settings.outcome_days)


def measure(engine: Engine, settings: Settings, window: Window, model: Watched) -> Iterator[Metric]:
    """Metrics of the outcomes of ``window``, which ``window_of`` gives. Raises DatabaseUnavailableError."""
    with engine.connect() as connection:
        follow_up = read_follow_up(connection, window, settings.outcome_days, model)
    for metric in outcomes(follow_up, model.thresholds):
        yield replace(metric, model_version=model.version)


def outcomes(
    follow_up: FollowUp, thresholds: Mapping[str, float], *, sliced: bool = True
) -> Iterator[Metric]:
    """Metrics of each target of ``thresholds``; with ``sliced``, of each slice, too."""
    if not follow_up.referred.any():
        return
    everyone = follow_up.people()
    weights = outcome_weights(follow_up, everyone)
    people = _Scored(weights[NAIVE].propensity.value, everyone.flags > 0, everyone.probabilities)
    slices = [(ALL, "", np.ones(len(follow_up.referred), dtype=bool))]
    if sliced:
        slices += [(f"{ALL}|{kind}", f"|{name}", members) for kind, name, members in follow_up.slices()]
    for target, threshold in thresholds.items():
        column = TARGET_NAMES.index(target)
        for key, name, members in slices:
            if not members.any():
                continue
            part = _Part.of(follow_up, weights, people, members, column, threshold)
            for metric in part.metrics():
                yield replace(metric, slice_key=key, slice_value=f"{target}{name}")
            if key == ALL:
                yield from part.curves(target)


@dataclass(frozen=True, slots=True)
class _Scored:
    """Scored patients (n,): propensity, any flag, and the highest probability of each target (n, targets)."""

    propensity: Floats
    flagged: NDArray[np.bool_]
    risk: Floats

    def overlap(self, members: NDArray[np.bool_], column: int) -> Overlap:
        """Overlap of the patients ``members`` (n,)."""
        return Overlap.of(self.propensity[members], self.flagged[members], self.risk[members, column])


@dataclass(frozen=True, slots=True)
class _Part:
    """One slice and target: its ECGs with an outcome, ``rows`` (m,) among those of referred patients."""

    predicted: BinaryPredictions
    rows: NDArray[np.intp]
    weights: Mapping[str, OutcomeWeights]
    overlap: Overlap
    scored: int
    censored: int

    @classmethod
    def of(
        cls,
        follow_up: FollowUp,
        weights: Mapping[str, OutcomeWeights],
        people: _Scored,
        members: NDArray[np.bool_],
        column: int,
        threshold: float,
    ) -> _Part:
        """The ECGs in ``members`` (all ECGs,) for the target ``column``."""
        settled = members & ~np.isnan(follow_up.labels[:, column])
        predicted = BinaryPredictions(
            follow_up.probabilities[settled, column], follow_up.labels[settled, column], threshold
        )
        patients = np.bincount(follow_up.patients[members], minlength=len(people.flagged)) > 0
        censored = np.bincount(follow_up.patients, weights=members & follow_up.censored) > 0
        return cls(
            predicted,
            np.flatnonzero(settled[follow_up.referred]),
            weights,
            people.overlap(patients, column),
            int(members.sum()),
            int(censored.sum()),
        )

    def metrics(self) -> Iterator[Metric]:
        """Counts, what the metrics rest on, and the metrics or the reason for which they are withheld."""
        count = len(self.rows)
        yield Metric("outcome_count", count, self.scored)
        yield Metric("outcome_censored", self.censored)
        if not count:
            return
        yield Metric("outcome_clipped_share", self.overlap.clipped)
        yield Metric("outcome_smallest_propensity", self.overlap.smallest)
        for suffix, weights in self.weights.items():
            support = Support.of(weights, self.rows, self.predicted.label)
            yield Metric(f"outcome_effective_size{suffix}", support.size, support.people)
            yield Metric(f"outcome_top_weight{suffix}", support.top, support.people)
            withheld = reason(suffix, support, self.overlap)
            if withheld is not None:
                yield Metric(f"outcome_withheld{suffix}", withheld)
                continue
            for name, found in self._judged(weights).items():
                yield Metric(f"outcome_{name}{suffix}", found.value, count, found.lower, found.upper)

    def curves(self, target: str) -> Iterator[Metric]:
        """Predicted and observed share in each tenth of patients by probability: ``target|1`` to ``|10``."""
        for suffix in (NAIVE, WEIGHTED):
            weights = self.weights[suffix]
            support = Support.of(weights, self.rows, self.predicted.label)
            if reason(suffix, support, self.overlap) is None:
                yield from self._curve(target, suffix, weights)

    def _judged(self, weights: OutcomeWeights) -> dict[str, Interval]:
        return judged.judged(
            self.predicted,
            weights.weights[self.rows],
            lambda metrics: weights.covariance(metrics, self.rows),
        )

    def _curve(self, target: str, suffix: str, weights: OutcomeWeights) -> Iterator[Metric]:
        mine, predicted = weights.weights[self.rows], self.predicted
        tenth = _tenths(predicted.probability, mine)
        label = predicted.label.astype(np.float64)
        for number in np.unique(tenth).tolist():
            inside = (tenth == number).astype(np.float64)
            count = int(inside.sum())
            for name, of in (("observed", label), ("predicted", predicted.probability)):
                share = linearised.share(of, inside, mine)
                error = float(np.sqrt(weights.covariance([share], self.rows)[0, 0]))
                found = on_logit_scale(share.value, error, count)
                yield Metric(
                    f"outcome_calibration_{name}{suffix}",
                    found.value,
                    count,
                    found.lower,
                    found.upper,
                    f"{ALL}|bin",
                    f"{target}|{number + 1}",
                )


def _tenths(probability: Floats, weight: Floats) -> NDArray[np.int64]:
    """The tenth, 0 to 9, of each of (m,) ECGs. ECGs of equal probability share a tenth."""
    values, place = np.unique(probability, return_inverse=True)
    mass = np.bincount(place, weights=weight, minlength=len(values))
    middle = (np.cumsum(mass) - mass / 2) / mass.sum()
    return np.minimum((middle * BINS).astype(np.int64), BINS - 1)[place]
