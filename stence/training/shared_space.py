"""The shared space of a model: its training studies, and a measure of what an ECG's neighbours tell."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stence.cohort import Part, Split
from stence.domain.targets import SEVERE
from stence.evaluation.bootstrap import bounds, resamples
from stence.evaluation.intervals import Interval
from stence.fitting.studies import rows_of
from stence.models import SharedSpace
from stence.training.retrieval import angiogram_places, ecg_places
from stence.training.stages import TrainingWorkspace

Floats = NDArray[np.float32]
NEIGHBOURS = 5
"""Similar studies that are shown for an ECG, and measured."""


class StudyPlaces(NamedTuple):
    """Numbers (s,) of training studies in the cohort's StudyTable, and their unit vectors (s, dimensions)."""

    studies: NDArray[np.int64]
    places: Floats


class Neighbourhood(NamedTuple):
    """A shared space, the training studies in it, and what they tell of test patients."""

    space: SharedSpace
    studies: StudyPlaces
    metrics: dict[str, Any]


def find_neighbourhood(workspace: TrainingWorkspace, windows: int, device: str) -> Neighbourhood:
    """Place the training studies in the pretrained pair's space, and measure it on test patients."""
    pair, angiograms, test = (
        workspace.pair().to(device),
        workspace.angiograms,
        workspace.cohort.parts[Split.TEST],
    )
    studies = rows_of(angiograms, Split.TRAIN)
    places = angiogram_places(pair, angiograms, studies, device)
    severe = angiograms.degrees[studies].max(axis=1) >= SEVERE
    ecgs = ecg_places(pair, test, np.arange(len(test)), windows, device)
    shares = share_severe(ecgs, places, severe, NEIGHBOURS)
    metrics = neighbours_metrics(shares, test, severe, workspace.config.bootstrap_resamples)
    return Neighbourhood(SharedSpace.of(pair), StudyPlaces(angiograms.study[studies], places), metrics)


def share_severe(
    places: Floats, studies: Floats, severe: NDArray[np.bool_], neighbours: int
) -> NDArray[np.float64]:
    """Return the share (n,) of severe studies among the ``neighbours`` that are nearest to each ECG.

    ``places`` (n, d) and ``studies`` (s, d) are unit vectors, ``severe`` (s,).

    >>> share_severe(np.eye(2)[:1], np.array([[1.0, 0.0], [0.6, 0.8]]), np.array([True, False]), 1)
    array([1.])
    """
    nearest = np.argsort(-(places @ studies.T), axis=1, kind="stable")[:, :neighbours]
    return severe[nearest].mean(axis=1)


def neighbours_metrics(
    shares: NDArray[np.float64], part: Part, severe: NDArray[np.bool_], count: int
) -> dict[str, Any]:
    """Return whether the nearest studies of ECGs with severe stenosis are more often severe than others'.

    ``shares`` (n,) are those of the ECGs of ``part``, ``severe`` (s,) the training studies; ``count``
    resamples of the patients give 95 % intervals. A random choice would find the share of all studies for
    every ECG, and so a difference of 0. ``informative``: the interval of the difference is above 0.
    """
    case = part.degrees.max(axis=1) >= SEVERE
    drawn = [times * part.weights for times in resamples(part.patients, count)]
    weights = np.concatenate([part.weights[None], *drawn])
    of_cases, of_others = (_mean(shares, weights * group) for group in (case, ~case))
    found = {"cases": of_cases, "others": of_others, "difference": of_cases - of_others}
    intervals = {name: Interval(float(v[0]), *bounds(v[1:])) for name, v in found.items()}
    difference = intervals["difference"]
    return {
        "count": NEIGHBOURS,
        "studies": len(severe),
        "chance": round(float(severe.mean()), 4),
        **{name: each.as_json() for name, each in intervals.items()},
        "informative": bool(difference.is_defined and difference.lower > 0),
    }


def _mean(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return weighted means (r,) for weights (r, n); NaN where a row has none."""
    total = weights.sum(axis=1)
    return np.divide(weights @ values, total, out=np.full(len(total), np.nan), where=total > 0)
