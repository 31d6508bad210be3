"""A model's certainty: estimated on held-out patients, and looked at on the test patients."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stence.cohort import Cohort, Split
from stence.cohort.unreferred import Unreferred
from stence.domain.targets import DECISIVE
from stence.evaluation.certainty import MIN_ECGS, Sample, certainty_of
from stence.evaluation.intervals import wilson
from stence.fitting.finetuning import ecg_outputs
from stence.models import TARGET_NAMES, UNLIKE_PERCENT, Certainty, RiskModel
from stence.models.calibration import SEVERITIES
from stence.training.populations import HELD, Logits, Populations, held_referred

GROUPS = 5
"""Groups of test patients by risk, of equal size."""
PLACE = TARGET_NAMES.index(DECISIVE)


def estimate(
    model: RiskModel,
    logits: Logits,
    cohort: Cohort,
    unreferred: Unreferred,
    found: Populations,
    device: str,
) -> Certainty:
    """Estimate what a fitted model knows about its own scores."""
    windows = cohort.parts[Split.CALIBRATION].signals.shape[1]
    train = ecg_outputs(model, cohort.parts[Split.TRAIN], device, windows).projections
    of_held = np.concatenate([logits.projections[split] for split in HELD])
    held = held_referred(logits, cohort)
    share = unreferred.share_referred if len(logits.unreferred) else 1.0
    each = (1 - share) / max(len(logits.unreferred), 1)
    everybody = Sample(
        np.concatenate([of_held, logits.unreferred_projections]),
        np.concatenate([held.weights / held.weights.sum() * share, np.full(len(logits.unreferred), each)]),
    )
    return certainty_of(train, held, of_held, everybody, found.draws)


def described(certainty: Certainty, logits: Logits, cohort: Cohort, found: Populations) -> dict[str, Any]:
    """Describe a model's certainty as JSON, with what the test patients show of it."""
    test = cohort.parts[Split.TEST]
    coordinates = certainty.coordinates(logits.projections[Split.TEST])
    first = np.unique(test.patients, return_index=True)[1]
    unlike = certainty.novelty(coordinates) >= UNLIKE_PERCENT
    told: dict[str, Any] = {"cannot_tell": found.reason}
    if len(certainty.offsets):
        lower, upper = certainty.interval(logits.parts[Split.TEST][first], coordinates[first])
        told = {
            "draws": len(certainty.offsets),
            "mean_width": round(float((upper - lower)[:, PLACE].mean()), 4),
            "groups": GROUPS,
            "groups_held": groups_held(
                certainty, logits.parts[Split.TEST][first], coordinates[first], test.labels[first, PLACE]
            ),
        }
    if not len(certainty.distances):
        return told | {"novelty_cannot_tell": f"fewer than {MIN_ECGS} held-out ECGs"}
    shown = wilson(unlike.astype(np.float64), test.weights, test.patients)
    return told | {"test_patients": len(first), "unlike": shown}


def groups_held(
    certainty: Certainty,
    logits: NDArray[np.float64],
    coordinates: NDArray[np.float64],
    label: NDArray[np.float32],
) -> int:
    """Count the groups of referred patients by risk whose share of cases the draws foresee with 95 %.

    The draws are those of the referred, whose labels (n,) are known. A share that is foreseen varies with the
    draws, and with the patients by chance.
    """
    known = ~np.isnan(label)
    referred = tuple(replace(draw, severity_weights=(1.0,) * SEVERITIES) for draw in certainty.draws)
    risk = replace(certainty, draws=referred).drawn(logits[known], coordinates[known])[:, PLACE]
    cases = np.random.default_rng(0).random(risk.shape) < risk
    held = 0
    for group in np.array_split(np.argsort(risk.mean(axis=1)), GROUPS):
        if len(group):
            lower, upper = np.quantile(cases[group].mean(axis=0), [0.025, 0.975])
            held += bool(lower <= label[known][group].mean() <= upper)
    return held
