"""Expected performance on a day's ECGs, estimated long before their outcomes are known.

A calibrated probability p means that a share p of such people have the stenosis. Each ECG therefore counts as
p of a case and 1 - p of a control, and every metric follows from these weights (confidence-based performance
estimation: Guillory et al. 2021; Garg et al. 2022; Białek et al. 2024).

The estimate is only as good as the calibration. It misses a change in the link between ECG and disease. It is
also wrong where the probabilities are calibrated for other people: a model whose manifest has no estimate of
the screened population is an example. In both cases only outcomes show the true performance.

The interval is the range of the metric over the possible outcomes of these same ECGs, and over the draws of
the calibration in the model's manifest. Each resample takes a draw's probabilities, and draws outcomes from
them, once per patient. Flags stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from stence.domain.targets import TARGET_NAMES
from stence.domain.windows import Window
from stence.evaluation import metrics
from stence.evaluation.bootstrap import CELLS, bounds
from stence.evaluation.follow_up import Scored, read_scored
from stence.evaluation.screened import moved
from stence.evaluation.watched import Watched
from stence.models import Calibration
from stence.monitoring.metrics import Metric
from stence.settings import Settings

MIN_COUNT = 50
"""Minimum number of ECGs for a metric."""

MAX_DRAWS = 40
"""Number of draws of the calibration in an interval."""

Rows = NDArray[np.float64]


def measure(engine: Engine, settings: Settings, window: Window, model: Watched) -> Iterator[Metric]:
    """Expected metrics of the ECGs that the model scored in ``window``. Raises DatabaseUnavailableError."""
    with engine.connect() as connection:
        scored = read_scored(connection, window, model)
    beliefs = Beliefs.of(model.manifest)
    for metric in expected(scored, model.thresholds, settings.monitor_bootstraps, beliefs):
        yield replace(metric, model_version=model.version)


@dataclass(frozen=True, slots=True)
class Beliefs:
    """A model's calibration, and draws of it that span its uncertainty; without draws it is certain."""

    calibration: Calibration
    draws: tuple[Calibration, ...] = ()

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> Beliefs:
        """Read the calibration and the first draws from a manifest."""
        drawn = manifest.get("calibration_draws", [])[:MAX_DRAWS]
        if not drawn:
            return CERTAIN
        return cls(_calibration(manifest["calibration"]), tuple(map(_calibration, drawn)))

    def probabilities(self, given: Rows) -> list[Rows]:
        """Return the probabilities (m, 6) under each draw, of ECGs with ``given`` (m, 6)."""
        return [moved(self.calibration, draw, given) for draw in self.draws] or [given]


def _calibration(stored: Mapping[str, Any]) -> Calibration:
    weights = stored.get("severity_weights")
    return Calibration(
        tuple(stored["slopes"]), tuple(stored["intercepts"]), None if weights is None else tuple(weights)
    )


CERTAIN = Beliefs(Calibration())


def expected(
    scored: Scored, thresholds: Mapping[str, float], count: int, beliefs: Beliefs = CERTAIN
) -> Iterator[Metric]:
    """Expected AUROC, AUPRC, PPV and sensitivity of each target, and of each slice with enough ECGs."""
    everyone = np.ones(len(scored.patients), dtype=bool)
    slices = [("target", "", everyone)]
    slices += [(f"target|{kind}", f"|{name}", who) for kind, name, who in scored.slices()]
    for key, name, members in slices:
        if members.sum() < MIN_COUNT:
            continue
        patients, share = scored.patients[members], scored.shares[members]
        given = scored.probabilities[members]
        drawn = beliefs.probabilities(given)
        for column, target in enumerate(TARGET_NAMES):
            beliefs_of = [draw[:, column] for draw in drawn]
            for metric in _expected(given[:, column], beliefs_of, thresholds[target], patients, share, count):
                yield replace(metric, slice_key=key, slice_value=f"{target}{name}")


def _expected(
    probability: Rows,
    beliefs: Sequence[Rows],
    threshold: float,
    patients: NDArray[np.int64],
    share: Rows,
    count: int,
) -> Iterator[Metric]:
    value = _figures(probability, probability, threshold, share[None])
    rng = np.random.default_rng(0)
    _, person = np.unique(patients, return_inverse=True)
    blocks, together = [], max(1, CELLS // len(probability))
    for belief, number in zip(beliefs, _shared(count, len(beliefs)), strict=True):
        for start in range(0, number, together):
            fate = rng.random((min(together, number - start), person.max() + 1))[:, person]
            blocks.append(_figures(probability, fate < belief, threshold, share[None]))
    for name, (found,) in value.items():
        lower, upper = bounds(np.concatenate([block[name] for block in blocks]))
        if np.isfinite(found) and np.isfinite(lower):
            yield Metric(f"expected_{name}", float(found), len(probability), lower, upper)


def _shared(count: int, parts: int) -> list[int]:
    """Share ``count`` resamples among the draws, as evenly as possible."""
    return [count // parts + (part < count % parts) for part in range(parts)]


def _figures(probability: Rows, cases: NDArray[Any], threshold: float, weights: Rows) -> dict[str, Rows]:
    """Metrics for each row of ``cases`` (n,) or (r, n), the share of a case per ECG; ``weights`` (1, n)."""
    flagged = probability >= threshold
    each = weights * cases
    areas, precisions = metrics.ranked(probability, each, weights - each)
    found = each[:, flagged].sum(axis=1)
    return {
        "auroc": areas,
        "auprc": precisions,
        "ppv": metrics.ratio(found, weights[:, flagged].sum(axis=1)),
        "sensitivity": metrics.ratio(found, each.sum(axis=1)),
    }
