"""All checks of a challenger against the champion, a baseline and the bounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stence.domain.checks import Check, Result, Verdict
from stence.evaluation.metrics import binary_metrics
from stence.evaluation.paired import Areas, areas
from stence.evaluation.predictions import Predictions, TargetPredictions, predictions_of_target
from stence.models import Threshold
from stence.training.gate.calibrated import calibrated
from stence.training.gate.config import GateConfig
from stence.training.gate.discrimination import above_chance, beats_baseline, better, look_alpha, not_worse
from stence.training.gate.fairness import fair


class Circumstances(NamedTuple):
    """What the predictions do not show.

    ``days_since_look`` are the days since a challenger was last judged on these test patients, None if none
    was; ``alerts_per_1000`` is the challenger's workload among everybody screened, None: as predicted;
    ``hindrance`` says why an existing champion cannot be compared.
    """

    days_since_look: float | None = None
    alerts_per_1000: float | None = None
    hindrance: str | None = None


NOTHING_KNOWN = Circumstances()


def judge(
    challenger: Predictions,
    champion: Predictions | None,
    thresholds: Mapping[str, Threshold],
    config: GateConfig,
    *,
    learned_from: NDArray[np.int64],
    counts: NDArray[np.float64] | None = None,
    baseline: Predictions | None = None,
    circumstances: Circumstances = NOTHING_KNOWN,
) -> Verdict:
    """Compare a challenger, with its ``thresholds``, with the champion; without a champion, with the floors.

    ``learned_from`` are the patients of all other splits. ``counts`` (n,) are sample weights of patients for
    the calibration, by default 1: they correct for the selection of the referred patients. ``baseline`` are
    the predictions of a simple model, such as age and sex alone, that the challenger must beat.
    Raises ValueError if the models were not evaluated on the same ECGs.
    """
    for other in (champion, baseline):
        if other and not np.array_equal(challenger.patients, other.patients):
            raise ValueError("champion and challenger must be assessed on the same ECGs, in the same order")
    new = predictions_of_target(challenger, config.target, thresholds)
    old = predictions_of_target(champion, config.target, thresholds) if champion else None
    simple = predictions_of_target(baseline, config.target, thresholds) if baseline else None
    weighed = new.predicted
    if counts is not None:
        weighed = replace(weighed, weight=weighed.weights * counts[new.rows])
    patients = challenger.patients[new.rows]
    checks = (
        _unseen(challenger, learned_from),
        *_discriminates(new, old, patients, circumstances, config),
        _beats(new, simple, patients, config),
        *calibrated(weighed, patients, config),
        *fair(new, old, challenger, config),
        _bearable(new, circumstances.alerts_per_1000, config),
    )
    verdict = Verdict(checks)
    shown = next(check for check in checks if check.name == "better than the champion")
    return Verdict(checks, better=verdict.passed and shown.result is Result.PASSED)


def compared(new: TargetPredictions, old: TargetPredictions | None, patients: NDArray[np.int64]) -> Areas:
    """Return the AUROC of the new model and, if there is one, of the old model."""
    return areas([new.predicted, *([old.predicted] if old else [])], patients)


def _unseen(challenger: Predictions, learned_from: NDArray[np.int64]) -> Check:
    seen = len(np.intersect1d(challenger.patients, learned_from))
    total = len(np.unique(challenger.patients))
    finding = f"{seen} of {total} test patients were used to train, choose or calibrate it"
    return Check("unseen test patients", Result.FAILED if seen else Result.PASSED, finding)


def _discriminates(
    new: TargetPredictions,
    old: TargetPredictions | None,
    patients: NDArray[np.int64],
    circumstances: Circumstances,
    config: GateConfig,
) -> Iterator[Check]:
    found = compared(new, old, patients)
    yield above_chance(found, config)
    if old is None:
        nobody = circumstances.hindrance or "there is no champion to compare with"
        result = Result.CANNOT_TELL if circumstances.hindrance else Result.PASSED
        yield Check("AUROC against the champion", result, nobody)
        yield Check("better than the champion", Result.CANNOT_TELL, nobody, decides=False)
        return
    difference, error = found.contrast([1.0, -1.0])
    yield not_worse(difference, error, config)
    yield better(difference, error, look_alpha(circumstances.days_since_look, config), config)


def _beats(
    new: TargetPredictions,
    baseline: TargetPredictions | None,
    patients: NDArray[np.int64],
    config: GateConfig,
) -> Check:
    if baseline is None:
        return Check("better than the baseline", Result.PASSED, "there is no baseline to compare with")
    return beats_baseline(*compared(new, baseline, patients).contrast([1.0, -1.0]), config)


def _bearable(new: TargetPredictions, workload: float | None, config: GateConfig) -> Check:
    alerts = binary_metrics(new.predicted)["alerts_per_1000"] if workload is None else workload
    low, high = config.alerts_per_1000
    finding = f"{alerts:.0f} alerts per 1,000 patients at the threshold, must be within {low:g} to {high:g}"
    return Check("workload", Result.PASSED if low <= alerts <= high else Result.FAILED, finding)
