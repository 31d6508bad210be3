"""A study's rows: AUROC of every arm, and paired differences between arms.

All arms use the same bootstrap resamples of patients and the same seeds, so the differences are paired.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from stence.cohort import Split
from stence.fitting.tasks import BinaryTask
from stence.study.cells import Cell, Outcome
from stence.study.config import Arm, StudyConfig
from stence.study.contrasts import Contrast, Difference, adjusted, contrasts_of
from stence.study.data import Data
from stence.study.measures import Areas, Comparison, Estimate, Logits

Models = Mapping[Arm, Mapping[int, Logits]]
"""Logits (n,) of each arm and seed on the test ECGs."""


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
    aurocs: Mapping[Arm, Estimate]
    """AUROC of every trained arm."""
    differences: tuple[Difference, ...]
    """All contrasts; the gain comes first."""

    @property
    def gain(self) -> Difference:
        """StenCE minus its baseline."""
        return self.differences[0]


def rows_of(config: StudyConfig, data: Data, outcomes: Mapping[Cell, Outcome]) -> list[Row]:
    """Compute a row per encoder, endpoint and share of labels, in the configuration's order."""
    return together(_rows(config, data, outcomes))


def together(rows: Iterator[Row] | Sequence[Row]) -> list[Row]:
    """Return the rows of a whole study with the p-values of each family adjusted over all rows."""
    found = list(rows)
    owned = [(place, each) for place, row in enumerate(found) for each in row.differences]
    places = [place for place, _ in owned]
    every = zip(places, adjusted(each for _, each in owned), strict=True)
    return [
        replace(found[place], differences=tuple(each for _, each in own))
        for place, own in groupby(every, key=lambda pair: pair[0])
    ]


def row_of(
    encoder: str,
    task: BinaryTask,
    fraction: float,
    compared: Comparison,
    models: Models,
    contrasts: Sequence[Contrast],
) -> Row:
    """Compute one row, with p-values that are not adjusted yet."""
    places = [(arm, seed) for arm, seeds in models.items() for seed in seeds]
    found = compared.areas([models[arm][seed] for arm, seed in places])
    areas: dict[Arm, dict[int, Areas]] = {arm: {} for arm in models}
    for (arm, seed), each in zip(places, found, strict=True):
        areas[arm][seed] = each
    return Row(
        encoder,
        task,
        fraction,
        patients=compared.patients,
        cases=compared.cases,
        aurocs={arm: _auroc(compared, list(seeds.values())) for arm, seeds in areas.items()},
        differences=tuple(_difference(compared, contrast, areas) for contrast in contrasts),
    )


def _rows(config: StudyConfig, data: Data, outcomes: Mapping[Cell, Outcome]) -> Iterator[Row]:
    for name, choice in config.encoders.items():
        test = data.part(Split.TEST, choice.input)
        contrasts = contrasts_of({cell.arm for cell in outcomes if cell.encoder == name})
        for task in config.tasks:
            compared = Comparison(task.answers(test)[:, 0], test.patients, config.resamples)
            for fraction in config.label_fractions:
                models = _models(config, outcomes, (name, task, fraction))
                yield row_of(name, task, fraction, compared, models, contrasts)


def _models(
    config: StudyConfig, outcomes: Mapping[Cell, Outcome], wanted: tuple[str, BinaryTask, float]
) -> Models:
    found: dict[Arm, dict[int, Logits]] = {}
    for cell, outcome in outcomes.items():
        if (cell.encoder, cell.task, cell.fraction) == wanted and outcome.logits is not None:
            found.setdefault(cell.arm, {})[cell.seed] = outcome.logits
    return {arm: found[arm] for arm in config.arms if arm in found}


def _auroc(compared: Comparison, by_seed: Sequence[Areas]) -> Estimate:
    measured = compared.measure(by_seed)
    return measured.estimate(within=(0, 1)) if measured else Estimate(None, None, None)


def _difference(
    compared: Comparison, contrast: Contrast, areas: Mapping[Arm, Mapping[int, Areas]]
) -> Difference:
    new, old = areas.get(contrast.new, {}), areas.get(contrast.old, {})
    seeds = sorted(new.keys() & old.keys())
    return Difference(contrast, compared.measure([new[seed] - old[seed] for seed in seeds]), len(seeds))
