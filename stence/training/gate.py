"""The gate: whether a challenger is good enough to score beside the champion, and why not.

Both are judged on the same test patients, by the decisive target. What differs between them by chance of who
was tested is weighed by a paired bootstrap: each resample of patients gives one difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from stence.domain.targets import DECISIVE
from stence.evaluation.bootstrap import INTERVAL, resamples
from stence.evaluation.metrics import calibration_errors, calibration_lines, figures, ranking
from stence.evaluation.predictions import Predictions, TargetPredictions, predictions_of_target
from stence.models import Threshold


class GateConfig(BaseModel):
    """What a challenger must reach."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: str = Field(DECISIVE, description="The target that decides.")
    auroc_floor: float = Field(0.5, description="Its AUROC's lower bound must be above this.")
    auroc_margin: float = Field(
        0.01, ge=0, description="The AUROC difference's lower bound may be so far below 0."
    )
    calibration_error: float = Field(0.15, gt=0, description="Highest expected calibration error.")
    calibration_margin: float = Field(
        0.03, ge=0, description="How much higher than the champion's it may be."
    )
    calibration_slope: tuple[float, float] = Field(
        (0.6, 1.6), description="Its interval must reach into these; 1 is calibrated, less is overconfident."
    )
    subgroup_floor: float = Field(0.5, description="Lowest AUROC in each sex and age band.")
    subgroup_margin: float = Field(
        0.05, ge=0, description="A subgroup's AUROC must not be clearly lower than the champion's by more."
    )
    subgroup_patients: int = Field(
        20, ge=1, description="A subgroup is judged from so many patients with and without."
    )
    alerts_per_1000: tuple[float, float] = Field(
        (1, 250), description="Bounds of the workload at the threshold."
    )
    resamples: int = Field(1000, ge=100, description="Resamples of patients behind an interval.")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: whether it is well, and what was found, in words and figures."""

    name: str
    passed: bool
    finding: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """All checks; the challenger passes if it passes each."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether the challenger may score beside the champion."""
        return all(check.passed for check in self.checks)

    @property
    def reasons(self) -> list[str]:
        """Why it may not."""
        return [check.finding for check in self.checks if not check.passed]

    def text(self) -> str:
        """The verdict in a line for the history of model states: why not, or else all that was found."""
        if self.passed:
            return f"passed the gate: {'; '.join(check.finding for check in self.checks)}"
        return f"failed the gate: {'; '.join(self.reasons)}"

    def as_json(self) -> dict[str, Any]:
        """For the manifest."""
        return {"passed": self.passed, "checks": [asdict(check) for check in self.checks]}


def judge(
    challenger: Predictions,
    champion: Predictions | None,
    thresholds: Mapping[str, Threshold],
    config: GateConfig,
    *,
    learned_from: NDArray[np.int64],
    counts: NDArray[np.float64] | None = None,
) -> Verdict:
    """Judge a challenger with its ``thresholds`` against the champion, or by the floors where there is none.

    ``learned_from`` are the patients of all splits but the test's. ``counts`` (n,) is what each ECG counts
    for calibration, by default 1: a model that learned to be calibrated for everybody is not judged by who
    was sent. Raises ValueError where the two models were not assessed on the same ECGs.
    """
    if champion and not np.array_equal(challenger.patients, champion.patients):
        raise ValueError("champion and challenger must be assessed on the same ECGs, in the same order")
    new = predictions_of_target(challenger, config.target, thresholds)
    old = predictions_of_target(champion, config.target, thresholds) if champion else None
    return Verdict(
        (
            _unseen(challenger, learned_from),
            *_discriminates(new, old, challenger.patients, config),
            *_calibrated(new, old, challenger.patients, config, counts),
            *_fair(new, old, challenger, config),
            _bearable(new, config),
        )
    )


def _unseen(challenger: Predictions, learned_from: NDArray[np.int64]) -> Check:
    seen = len(np.intersect1d(challenger.patients, learned_from))
    total = len(np.unique(challenger.patients))
    finding = f"{seen} of {total} test patients were used to train, choose or calibrate it"
    return Check("unseen test patients", seen == 0, finding)


def _discriminates(
    new: TargetPredictions, old: TargetPredictions | None, patients: NDArray[np.int64], config: GateConfig
) -> Iterator[Check]:
    area, spread = _area(new, None, patients, config)
    yield Check(
        "AUROC",
        bool(spread[0] > config.auroc_floor),
        f"AUROC {config.target} {area:.3f} ({_span(spread)}), must be above {config.auroc_floor:g}",
    )
    if old is None:
        yield Check("AUROC against the champion", True, "there is no champion to compare with")
        return
    difference, spread = _area(new, old, patients, config)
    yield Check(
        "AUROC against the champion",
        bool(spread[0] > -config.auroc_margin),
        f"AUROC {config.target} differs by {difference:+.3f} ({_span(spread)}) from the champion's, the "
        f"lower bound must be above {-config.auroc_margin:g}",
    )


def _calibrated(
    new: TargetPredictions,
    old: TargetPredictions | None,
    patients: NDArray[np.int64],
    config: GateConfig,
    counts: NDArray[np.float64] | None,
) -> Iterator[Check]:
    weight = np.ones(len(new.rows)) if counts is None else counts[new.rows]
    error = float(calibration_errors(new.predicted, weight[None])[0])
    highest, because = config.calibration_error, ""
    if old is not None:
        champions = float(calibration_errors(old.predicted, weight[None])[0])
        highest = min(highest, champions + config.calibration_margin)
        because = f" (champion {champions:.3f})"
    yield Check(
        "calibration error",
        error <= highest,
        f"expected calibration error {error:.3f}, must be at most {highest:.3f}{because}",
    )
    low, high = config.calibration_slope
    slope, spread = _measured(
        lambda drawn: calibration_lines(new.predicted, drawn * weight)[0], new, patients, config
    )
    yield Check(
        "calibration slope",
        bool(spread[0] <= high and spread[1] >= low),
        f"calibration slope {slope:.2f} ({_span(spread)}), must reach into {low:g} to {high:g}",
    )


def _fair(
    new: TargetPredictions, old: TargetPredictions | None, challenger: Predictions, config: GateConfig
) -> Iterator[Check]:
    """No sex or age band that the challenger does not serve, or serves clearly worse than the champion."""
    for name, members in challenger.subgroups().items():
        group = new.among(members)
        counts = _patients(group, challenger, case=1), _patients(group, challenger, case=0)
        if min(counts) < config.subgroup_patients:
            text = f"{name}: too few patients to judge ({counts[0]} with, {counts[1]} without)"
            yield Check(f"subgroup {name}", True, text)
            continue
        area, _ = _area(group, None, challenger.patients, config)
        passed = bool(area >= config.subgroup_floor)
        text = f"{name}: AUROC {area:.3f}, must be at least {config.subgroup_floor:g}"
        if old is not None:
            difference, spread = _area(group, old.among(members), challenger.patients, config)
            passed &= bool(spread[1] >= -config.subgroup_margin)
            text += f", {difference:+.3f} ({_span(spread)}) against the champion"
        yield Check(f"subgroup {name}", passed, text)


def _bearable(new: TargetPredictions, config: GateConfig) -> Check:
    alerts, (low, high) = figures(new.predicted)["alerts_per_1000"], config.alerts_per_1000
    finding = f"{alerts:.0f} alerts per 1,000 ECGs at the threshold, must be within {low:g} to {high:g}"
    return Check("workload", low <= alerts <= high, finding)


def _area(
    new: TargetPredictions, old: TargetPredictions | None, patients: NDArray[np.int64], config: GateConfig
) -> tuple[float, tuple[float, float]]:
    """AUROC, or its difference from another model's on the same ECGs, and the interval."""

    def area(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
        mine = ranking(new.predicted, drawn)[0]
        return mine if old is None else mine - ranking(old.predicted, drawn)[0]

    return _measured(area, new, patients, config)


def _measured(
    measure: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    of_target: TargetPredictions,
    patients: NDArray[np.int64],
    config: GateConfig,
) -> tuple[float, tuple[float, float]]:
    """What ``measure`` finds in the ECGs as they are, and its interval over resamples; NaN if undefined."""
    blocks = map(measure, resamples(patients[of_target.rows], config.resamples))
    drawn = np.concatenate([np.empty(0), *blocks])
    defined = drawn[~np.isnan(drawn)]
    lower, upper = np.percentile(defined, INTERVAL) if len(defined) else (np.nan, np.nan)
    return float(measure(np.ones((1, len(of_target.rows))))[0]), (float(lower), float(upper))


def _patients(of_target: TargetPredictions, predictions: Predictions, *, case: int) -> int:
    return len(np.unique(predictions.patients[of_target.rows[of_target.predicted.label == case]]))


def _span(spread: tuple[float, float]) -> str:
    return f"95 % interval {spread[0]:.3f} to {spread[1]:.3f}"
