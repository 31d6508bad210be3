"""Calibration: do the predicted risks hit the level of the disease, and do they spread as they should?"""

from __future__ import annotations

from collections.abc import Iterator
from math import exp, isfinite, log

import numpy as np
from numpy.typing import NDArray

from stence.domain.checks import Check, Result
from stence.evaluation.metrics import BinaryPredictions
from stence.evaluation.recalibration import Estimate, level, slope
from stence.training.gate.config import GateConfig
from stence.training.gate.discrimination import chance

TWO_SIDED = 1.96


def calibrated(
    predicted: BinaryPredictions, patients: NDArray[np.int64], config: GateConfig
) -> Iterator[Check]:
    """Check level (odds) and slope of the calibration on the test patients."""
    odds = level(predicted, patients)
    low, high = map(exp, odds.interval()) if isfinite(odds.value) else (np.nan, np.nan)
    tolerated, wrong = config.odds_factors
    yield Check(
        "calibration level",
        _judged(odds, log(tolerated), log(wrong)),
        f"the odds of the disease are {np.exp(odds.value):.2f} times the predicted ones (95 % interval "
        f"{low:.2f} to {high:.2f}), must reach into {1 / tolerated:.2f} to {tolerated:.2f}; odds "
        f"{wrong:g} times too high are found with {_power(odds, log(tolerated), log(wrong)):.0%} power",
    )
    line = slope(predicted, patients)
    logs = _in_logs(line)
    low, high = map(exp, logs.interval()) if isfinite(logs.value) else (np.nan, np.nan)
    tolerated, wrong = config.slope_factors
    yield Check(
        "calibration slope",
        _judged(logs, log(tolerated), log(wrong)),
        f"calibration slope {line.value:.2f} (95 % interval {low:.2f} to {high:.2f}), must reach into "
        f"{1 / tolerated:.2f} to {tolerated:.2f}; a slope of {1 / wrong:.2g} is found with "
        f"{_power(logs, log(tolerated), log(wrong)):.0%} power",
    )


def _judged(estimate: Estimate, tolerated: float, wrong: float) -> Result:
    """Compare an estimate that should be 0 with its bounds.

    Failed if the 95 % interval lies outside what is tolerated; cannot tell if it spans both what is wrong on
    one side and on the other, so that nothing could have failed.
    """
    low, high = estimate.interval(TWO_SIDED)
    if not isfinite(estimate.error) or (low < -wrong and high > wrong):
        return Result.CANNOT_TELL
    return Result.FAILED if high < -tolerated or low > tolerated else Result.PASSED


def _power(estimate: Estimate, tolerated: float, wrong: float) -> float:
    """Return the chance that a model that is ``wrong`` fails."""
    if not isfinite(estimate.error):
        return 0.0
    return chance(wrong - tolerated - TWO_SIDED * estimate.error, estimate.error)


def _in_logs(line: Estimate) -> Estimate:
    """Return the logarithm of a slope; of a slope near or below 0 the one of a twentieth."""
    value = max(line.value, 0.05)
    return Estimate(log(value) if isfinite(value) else np.nan, line.error / value)
