"""The gate: decide whether a challenger may score beside the champion, and give the reasons.

Both models are evaluated on the same test patients, by the decisive target. A paired bootstrap gives the
interval of their difference: each resample of patients yields one difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from stence.domain.targets import DECISIVE
from stence.evaluation.bootstrap import bounds, resamples
from stence.evaluation.metrics import binary_metrics, calibration_errors, calibration_lines, ranking
from stence.evaluation.predictions import Predictions, TargetPredictions, predictions_of_target
from stence.models import Threshold


class GateConfig(BaseModel):
    """Criteria that a challenger must meet."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: str = Field(DECISIVE, description="The target that decides.")
    auroc_floor: float = Field(0.5, description="The AUROC's lower bound must be above this.")
    auroc_margin: float = Field(
        0.01, ge=0, description="The AUROC difference's lower bound must be above minus this."
    )
    calibration_error: float = Field(0.15, gt=0, description="Maximum expected calibration error.")
    calibration_margin: float = Field(
        0.03, ge=0, description="Maximum excess over the champion's calibration error."
    )
    calibration_slope: tuple[float, float] = Field(
        (0.6, 1.6), description="The interval must overlap this; 1 is calibrated, less is overconfident."
    )
    subgroup_floor: float = Field(0.5, description="Minimum AUROC in each sex and age band.")
    subgroup_margin: float = Field(
        0.05, ge=0, description="Maximum deficit of a subgroup's AUROC against the champion."
    )
    subgroup_patients: int = Field(
        20, ge=1, description="Minimum patients, with and without, to judge a subgroup."
    )
    alerts_per_1000: tuple[float, float] = Field(
        (1, 250), description="Bounds of the workload at the threshold."
    )
    resamples: int = Field(1000, ge=100, description="Resamples of patients per interval.")


@dataclass(frozen=True, slots=True)
class Check:
    """Result of one gate criterion: name, pass or fail, and the finding with its values."""

    name: str
    passed: bool
    finding: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """All checks. The challenger passes if it passes every check."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """True if the challenger may score beside the champion."""
        return all(check.passed for check in self.checks)

    @property
    def reasons(self) -> list[str]:
        """Findings of the failed checks."""
        return [check.finding for check in self.checks if not check.passed]

    def text(self) -> str:
        """The verdict in one line, for the history of model states: failed findings, or else all findings."""
        if self.passed:
            return f"passed the gate: {'; '.join(check.finding for check in self.checks)}"
        return f"failed the gate: {'; '.join(self.reasons)}"

    def as_json(self) -> dict[str, Any]:
        """The verdict as JSON for the manifest."""
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
    """Compare a challenger, with its ``thresholds``, with the champion; without a champion, with the floors.

    ``learned_from`` are the patients of all other splits. ``counts`` (n,) are sample weights for the
    calibration metrics, by default 1: they correct for the selection of the referred patients.
    Raises ValueError if the two models were not evaluated on the same ECGs.
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
    """Check that no sex or age band has a too low AUROC, or one clearly lower than the champion's."""
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
    alerts, (low, high) = binary_metrics(new.predicted)["alerts_per_1000"], config.alerts_per_1000
    finding = f"{alerts:.0f} alerts per 1,000 ECGs at the threshold, must be within {low:g} to {high:g}"
    return Check("workload", low <= alerts <= high, finding)


def _area(
    new: TargetPredictions, old: TargetPredictions | None, patients: NDArray[np.int64], config: GateConfig
) -> tuple[float, tuple[float, float]]:
    """Return the AUROC, or its difference to another model's on the same ECGs, and the interval."""

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
    """Return the metric ``measure`` on all ECGs, and its interval over resamples; NaN if undefined."""
    blocks = map(measure, resamples(patients[of_target.rows], config.resamples))
    drawn = np.concatenate([np.empty(0), *blocks])
    return float(measure(np.ones((1, len(of_target.rows))))[0]), bounds(drawn)


def _patients(of_target: TargetPredictions, predictions: Predictions, *, case: int) -> int:
    return len(np.unique(predictions.patients[of_target.rows[of_target.predicted.label == case]]))


def _span(spread: tuple[float, float]) -> str:
    return f"95 % interval {spread[0]:.3f} to {spread[1]:.3f}"
