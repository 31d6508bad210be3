"""Fairness: no sex or age band may be served clearly worse than by the champion, or no better than chance."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from stence.domain.checks import Check, Result
from stence.evaluation.paired import Areas, areas
from stence.evaluation.predictions import Predictions, TargetPredictions
from stence.training.gate.config import GateConfig
from stence.training.gate.discrimination import CERTAIN, POWER, chance

FAMILY = 0.05
"""Chance that an equal model fails in any of its subgroups."""


def fair(
    new: TargetPredictions, old: TargetPredictions | None, challenger: Predictions, config: GateConfig
) -> Iterator[Check]:
    """Check each sex and age band. Where the patients are too few to see a loss, it "cannot be judged".

    Such a group does not decide: it keeps no model from the shadow, and stands on the card as not judged.
    """
    groups = challenger.subgroups()
    z = float(norm.isf(FAMILY / max(len(groups), 1)))
    for name, members in groups.items():
        group = new.among(members)
        cases, controls = (_patients(group, challenger, case=case) for case in (1, 0))
        if min(cases, controls) < config.subgroup_patients:
            finding = f"{name}: cannot be judged, too few patients ({cases} with, {controls} without)"
            yield Check(f"subgroup {name}", Result.CANNOT_TELL, finding, decides=False)
            continue
        models = [group.predicted] if old is None else [group.predicted, old.among(members).predicted]
        found = areas(models, challenger.patients[group.rows])
        results, finding = _served(found, z, config)
        yield Check(f"subgroup {name}", _worst(results), f"{name}: {finding}", decides=False)


def _served(found: Areas, z: float, config: GateConfig) -> tuple[list[Result], str]:
    """Compare a group's AUROC with the floor and, if there are two models, with the champion's."""
    area, error = found.contrast([1.0, *[0.0] * (len(found.values) - 1)])
    low, high = area - 1.96 * error, area + 1.96 * error
    floor = config.subgroup_floor
    results = [Result.FAILED if high < floor else Result.PASSED if low > floor else Result.CANNOT_TELL]
    finding = f"AUROC {area:.3f} (95 % interval {low:.3f} to {high:.3f}), must be above {floor:g}"
    if len(found.values) == 1:
        return results, finding
    difference, error = found.contrast([1.0, -1.0])
    margin, low, high = config.subgroup_margin, difference - CERTAIN * error, difference + z * error
    power = chance(margin - CERTAIN * error, error)
    results.append(Result.PASSED if low > -margin else Result.FAILED if high < 0 else Result.CANNOT_TELL)
    said = "" if power >= POWER or results[-1] is not Result.CANNOT_TELL else "cannot be judged, "
    return results, (
        f"{said}{finding}; {difference:+.3f} against the champion (at least {low:+.3f}, must be above "
        f"{-margin:g}; the power to tell no loss from one of {margin:g} is {power:.0%})"
    )


def _worst(results: list[Result]) -> Result:
    for result in (Result.FAILED, Result.CANNOT_TELL):
        if result in results:
            return result
    return Result.PASSED


def _patients(of_target: TargetPredictions, predictions: Predictions, *, case: int) -> int:
    members: NDArray[np.int64] = predictions.patients[of_target.rows[of_target.predicted.label == case]]
    return len(np.unique(members))
