"""A study's metrics: mean AUROC over seeds, and paired differences between arms, with 95 % intervals.

A bootstrap resample draws seeds and patients with replacement, a patient with all ECGs. All arms use the same
resamples, so the differences are paired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from stence.cohort import Split
from stence.evaluation.bootstrap import interval, resamples
from stence.evaluation.metrics import BinaryPredictions, auroc, ranking
from stence.fitting.tasks import BinaryTask
from stence.study.cells import Cell, Outcome
from stence.study.config import Arm, StudyConfig
from stence.study.data import Data

Logits = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A metric and its 95 % interval; None if it is not defined."""

    value: float | None
    lower: float | None
    upper: float | None

    def text(self, sign: str = "") -> str:
        """Format the estimate for a table."""
        if self.value is None or self.lower is None or self.upper is None:
            return "–"
        form = f"{sign}.3f"
        return f"{self.value:{form}} ({self.lower:{form}} to {self.upper:{form}})"


@dataclass(frozen=True)
class Row:
    """Result for one encoder, endpoint and share of labels."""

    encoder: str
    task: BinaryTask
    fraction: float
    patients: int
    """Test patients with a known label."""
    cases: int
    """Test patients with the stenosis."""
    seeds: int
    """Seeds with both models, from scratch and of StenCE."""
    aurocs: Mapping[Arm, Estimate]
    """AUROC of every trained arm."""
    difference: Estimate
    """AUROC of StenCE minus scratch."""

    @property
    def verdict(self) -> str:
        """``gain`` or ``loss`` if the interval of the difference excludes 0."""
        if self.difference.lower is None or self.difference.upper is None:
            return "not known"
        if self.difference.lower > 0:
            return "gain"
        return "loss" if self.difference.upper < 0 else "no gain shown"


def rows_of(config: StudyConfig, data: Data, outcomes: Mapping[Cell, Outcome]) -> list[Row]:
    """Compute a row per encoder, endpoint and share of labels, in the configuration's order."""
    return [
        _row(config, data, outcomes, name, task, fraction)
        for name in config.encoders
        for task in config.tasks
        for fraction in config.label_fractions
    ]


def _row(
    config: StudyConfig,
    data: Data,
    outcomes: Mapping[Cell, Outcome],
    encoder: str,
    task: BinaryTask,
    fraction: float,
) -> Row:
    logits: dict[Arm, dict[int, Logits]] = {}
    for cell, outcome in outcomes.items():
        if (cell.encoder, cell.task, cell.fraction) == (
            encoder,
            task,
            fraction,
        ) and outcome.logits is not None:
            logits.setdefault(cell.arm, {})[cell.seed] = outcome.logits
    test = data.part(Split.TEST, config.encoders[encoder].input)
    label, patients = task.answers(test)[:, 0], test.patients
    compared = Comparison(label, patients, config.resamples)
    scratch, stence = logits.get(Arm.SCRATCH, {}), logits.get(Arm.STENCE, {})
    seeds = sorted(scratch.keys() & stence.keys())
    return Row(
        encoder,
        task,
        fraction,
        patients=len(np.unique(patients[~np.isnan(label)])),
        cases=len(np.unique(patients[label == 1])),
        seeds=len(seeds),
        aurocs={arm: compared.mean(list(logits[arm].values())) for arm in Arm if arm in logits},
        difference=compared.difference([stence[seed] for seed in seeds], [scratch[seed] for seed in seeds]),
    )


class Comparison:
    """Compares models on the ECGs of one endpoint: ``label`` (n,), NaN if unknown, ``patients`` (n,)."""

    def __init__(self, label: NDArray[np.float32], patients: NDArray[np.int64], count: int) -> None:
        self._asked = np.flatnonzero(~np.isnan(label))
        self._label = label[self._asked]
        self._patients, self._count = patients[self._asked], count

    def mean(self, models: Sequence[Logits]) -> Estimate:
        """Estimate the mean AUROC over seeds of one model per seed, given by logits (n,)."""
        return self._estimate([self._aurocs(model) for model in models])

    def difference(self, new: Sequence[Logits], old: Sequence[Logits]) -> Estimate:
        """Estimate the mean AUROC difference between models of the same seeds."""
        pairs = zip(new, old, strict=True)
        return self._estimate([self._aurocs(one) - self._aurocs(other) for one, other in pairs])

    def _aurocs(self, logits: Logits) -> NDArray[np.float64]:
        """Compute the AUROC of the original sample, then of each resample (1 + count,)."""
        predicted = BinaryPredictions(expit(logits[self._asked]), self._label, threshold=0.5)
        drawn = [ranking(predicted, weights)[0] for weights in resamples(self._patients, self._count)]
        return np.concatenate([[auroc(predicted.probability, self._label)], *drawn])

    def _estimate(self, figures: Sequence[NDArray[np.float64]]) -> Estimate:
        """Of figures (1 + count,) of each seed."""
        if not figures:
            return Estimate(None, None, None)
        by_seed = np.stack(figures)
        rng = np.random.default_rng(1)  # not the generator's seed that draws patients
        seeds = rng.integers(len(by_seed), size=(by_seed.shape[1] - 1, len(by_seed)))
        drawn = by_seed[:, 1:].T
        means = np.take_along_axis(drawn, seeds, axis=1).mean(axis=1)
        found: dict[str, Any] = interval(float(by_seed[:, 0].mean()), means)
        return Estimate(**found)
