"""The shared space of a fine-tuned model: fit its projection, and measure what an ECG's neighbours tell."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from stence.cohort import Part, Split
from stence.domain.targets import SEVERE
from stence.errors import StenceError
from stence.evaluation.bootstrap import bounds, resamples
from stence.evaluation.intervals import Interval
from stence.fitting.probe import embeddings
from stence.fitting.shared_space import fit_shared_space
from stence.fitting.studies import angiogram_of, rows_of
from stence.models import RiskModel, SharedSpace
from stence.training.retrieval import angiogram_places, ranked
from stence.training.stages import TrainingWorkspace

Floats = NDArray[np.float32]
NEIGHBOURS = 5
"""Similar studies that are shown for an ECG, and measured."""


class StudyPlaces(NamedTuple):
    """Numbers (s,) of training studies in the cohort's StudyTable, and their unit vectors (s, dimensions)."""

    studies: NDArray[np.int64]
    places: Floats


class Neighbourhood(NamedTuple):
    """A projection into the shared space, the training studies in it, and its metrics on test patients."""

    space: SharedSpace
    studies: StudyPlaces
    metrics: dict[str, Any]


class _Paired(NamedTuple):
    """ECGs of a split that have an angiogram: embeddings (n, size), weights (n,), and their studies.

    ``own`` (n,) are rows of ``places`` (s, dimensions), the unit vectors of the split's angiograms.
    """

    embedded: Floats
    weights: NDArray[np.float64]
    own: NDArray[np.intp]
    places: Floats


def find_neighbourhood(
    workspace: TrainingWorkspace, model: RiskModel, windows: int, device: str
) -> Neighbourhood:
    """Fit the projection on training pairs, and measure it on test pairs.

    ``model`` is on ``device``. Raises StenceError if either has none.
    """
    train, test = (_paired(workspace, model, split, windows, device) for split in (Split.TRAIN, Split.TEST))
    space = fit_shared_space(train.embedded, train.places[train.own], train.weights)
    angiograms = workspace.angiograms
    studies = rows_of(angiograms, Split.TRAIN)
    severe = angiograms.degrees[studies].max(axis=1) >= SEVERE
    part = workspace.cohort.parts[Split.TEST]
    everybody = _embedded(model, part, np.arange(len(part)), windows, device)
    shares = share_severe(_project(space, everybody), train.places, severe, NEIGHBOURS)
    metrics = {
        "ecgs": len(test.own),
        "angiograms": len(test.places),
        **ranked(_project(space, test.embedded), test.places, test.own),
        "neighbours": neighbours_metrics(shares, part, severe, workspace.config.bootstrap_resamples),
    }
    return Neighbourhood(space, StudyPlaces(angiograms.study[studies], train.places), metrics)


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


def _paired(
    workspace: TrainingWorkspace, model: RiskModel, split: Split, windows: int, device: str
) -> _Paired:
    part, angiograms = workspace.cohort.parts[split], workspace.angiograms
    studies, own = rows_of(angiograms, split), angiogram_of(part, angiograms)
    ecgs = np.flatnonzero(own >= 0)
    if not len(ecgs):
        raise StenceError(f"No {split} ECG has an angiogram, so no space can be shared.")
    places = angiogram_places(workspace.pair().to(device), angiograms, studies, device)
    embedded = _embedded(model, part, ecgs, windows, device)
    return _Paired(embedded, part.weights[ecgs], np.searchsorted(studies, own[ecgs]), places)


def _embedded(model: RiskModel, part: Part, ecgs: NDArray[np.int64], windows: int, device: str) -> Floats:
    return embeddings(model.encoder.eval(), part, ecgs, windows, device).numpy()


@torch.inference_mode()
def _project(space: SharedSpace, embedded: Floats) -> Floats:
    return space(torch.from_numpy(embedded)).numpy()
