"""From the referred population to the screened one: how severe is the disease of everybody with an ECG?

Labels come from the catheter laboratory, and its patients are sicker than the people whose ECGs are scored.
The two populations are linked by one assumption, *label shift*: referral depends on the severity of the
disease, through its symptoms, and given the severity not on the ECG, age and sex. Then the share of people of
a severity, among everybody, is the share among the referred times a weight, and the weights follow from the
ECGs of people who were never referred (Saerens et al. 2002, Neural Comput. 14:21; Lipton et al. 2018, ICML).

Free weights for five severities cannot be told apart by one score. So referral is a logistic curve over the
loss of flow reserve, which is what symptoms follow (Gould & Lipscomb 1974, Am. J. Cardiol. 34:48):
``P(referred | severity) = expit(a + selectivity * loss)``. The share of referred people fixes ``a``. The
selectivity has a normal prior, and its posterior is computed on a grid.

The interval holds the uncertainty of the calibration, of the severities among the referred, of the ECGs of
the unreferred and of the selectivity, but not of the assumption. A hospital where referral follows the ECG
itself breaks it; later outcomes show that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stence.domain.targets import TARGET_NAMES
from stence.evaluation import calibrate
from stence.evaluation.bootstrap import interval
from stence.models import Calibration
from stence.models.calibration import SEVERITIES, severities
from stence.models.coherence import answers, probabilities

LOSS = np.array([0.0, 0.25, 0.85, 1.0, 1.0])
"""Mean loss of flow reserve of each severity, from 0 to 1."""
SELECTIVITY = np.linspace(-1, 9, 101)
"""Grid of the log odds ratio of referral, from a loss of 0 to 1."""
PRIOR = (2.5, 1.0)
"""Mean and standard deviation of its prior: an odds ratio of 12, and of 1.7 to 87 with 95 %."""
DRAWS = 100
MIN_PATIENTS = 50
"""Minimum unreferred patients, and held-out referred patients, for an estimate."""

Reals = NDArray[np.float64]


class Referred(NamedTuple):
    """Held-out ECGs of referred patients: logits and labels (n, 6), patients and sample weights (n,)."""

    logits: Reals
    labels: NDArray[np.float32]
    patients: NDArray[np.int64]
    weights: Reals


@dataclass(frozen=True, slots=True)
class Screened:
    """Calibration for the screened population, and ``draws`` of it that span its uncertainty."""

    calibration: Calibration
    draws: tuple[Calibration, ...]
    summary: dict[str, Any]


def severity_of(labels: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the severity class (n,), 0 to 4, from labels (n, 6); -1 where a label is unknown.

    >>> severity_of(np.array([[1, 1, 0, 0, 0, 1], [1, np.nan, 0, 0, 0, 0]], np.float32)).tolist()
    [2, -1]
    """
    degrees = labels[:, : SEVERITIES - 1]
    known = ~np.isnan(degrees).any(axis=1)
    return np.where(known, np.nansum(degrees, axis=1), -1).astype(np.int64)


def screened(
    held: Referred, severity_counts: NDArray[np.int64], unreferred: Reals, share: float, draws: int = DRAWS
) -> Screened | None:
    """Estimate the calibration for everybody whose ECG is recorded.

    ``held`` are referred patients whom the network did not learn from, ``severity_counts`` (5,) the referred
    patients by severity, ``unreferred`` (m, 6) logits of one ECG of each of m people without a study, and
    ``share`` the share of people with a study. The result is None if there are too few patients.
    """
    patients = len(np.unique(held.patients))
    if min(len(unreferred), patients, severity_counts.sum()) < MIN_PATIENTS or not 0 < share < 1:
        return None
    rng = np.random.default_rng(0)
    line = calibrate.fit(held.logits, answers(held.labels), held.weights)
    mix = severity_counts / severity_counts.sum()
    everyone = np.ones(len(unreferred))
    grid, chance = _posterior(severities(line.apply(unreferred)), everyone, mix, share)
    best = replace(line, severity_weights=tuple((chance @ grid).tolist()))
    drawn = tuple(_draws(held, severity_counts, unreferred, share, rng, draws))
    return Screened(best, drawn, _summary(best, drawn, held, mix, len(unreferred), share))


def _draws(
    held: Referred,
    severity_counts: NDArray[np.int64],
    unreferred: Reals,
    share: float,
    rng: np.random.Generator,
    draws: int,
) -> Iterator[Calibration]:
    names, patient = np.unique(held.patients, return_inverse=True)
    for _ in range(draws):
        times = np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))[patient]
        line = calibrate.fit(held.logits, answers(held.labels), held.weights * times)
        mix = rng.dirichlet(severity_counts + 0.5)
        repeats = np.bincount(rng.integers(len(unreferred), size=len(unreferred)), minlength=len(unreferred))
        grid, chance = _posterior(severities(line.apply(unreferred)), repeats, mix, share)
        yield replace(line, severity_weights=tuple(grid[rng.choice(len(grid), p=chance)].tolist()))


def _posterior(log_severity: Reals, counts: NDArray[Any], mix: Reals, share: float) -> tuple[Reals, Reals]:
    """Return the weights (g, 5) on the grid of selectivities, and the posterior probabilities (g,).

    ``log_severity`` (m, 5) are those of the unreferred as if they had been referred. Their density, relative
    to that of the referred, is the sum of the severities times the odds of no referral.
    """
    relative = np.exp(-SELECTIVITY[:, None] * LOSS)
    unsent = relative / (relative @ mix)[:, None]
    likelihood = np.log(np.exp(log_severity) @ unsent.T).T @ counts
    mean, spread = PRIOR
    posterior = likelihood - 0.5 * ((SELECTIVITY - mean) / spread) ** 2
    chance = np.exp(posterior - posterior.max())
    return share + (1 - share) * unsent, chance / chance.sum()


def _summary(
    best: Calibration,
    drawn: tuple[Calibration, ...],
    held: Referred,
    mix: Reals,
    unreferred: int,
    share: float,
) -> dict[str, Any]:
    """Describe the estimate as JSON: numbers of patients, weights, and prevalence of each degree.

    ``never_referred`` are the shares of people of each severity who had no referral: what tells the risk of
    those who are left from the risk of everybody. Their values are means over the draws, since the share at
    the mean weight is biased.
    """
    at_least = {
        name: slice(place, None) for place, name in enumerate(TARGET_NAMES[: SEVERITIES - 1], start=1)
    }
    weights = np.array([draw.severity_weights for draw in drawn])
    never = np.clip(1 - share / weights, 0, 1)

    def prevalence(weight: Reals, place: slice) -> Any:
        return (weight * mix)[..., place].sum(axis=-1) / (weight * mix).sum(axis=-1)

    return {
        "referred_patients": len(np.unique(held.patients)),
        "unreferred_patients": unreferred,
        "share_referred": round(share, 4),
        "severity_weights": [round(weight, 4) for weight in best.severity_weights or ()],
        "never_referred": [interval(float(shares.mean()), shares) for shares in never.T],
        "prevalence": {
            name: interval(
                float(prevalence(np.array(best.severity_weights), place)), prevalence(weights, place)
            )
            for name, place in at_least.items()
        },
    }


def moved(calibration: Calibration, drawn: Calibration, given: Reals) -> Reals:
    """Return the probabilities (n, 6) under ``drawn`` of ECGs with ``given`` (n, 6) under ``calibration``."""
    return probabilities(drawn.apply(calibration.invert(tree_logits(given))))


def tree_logits(given: Reals) -> Reals:
    """Return the logits (n, 6) of the tree's questions from the targets' probabilities (n, 6), as stored."""
    p = np.clip(given, 1e-6, 1 - 1e-6)
    over_50, over_70, over_90, total, rca, lca = np.moveaxis(p, -1, 0)
    both = np.clip(rca + lca - over_70, 1e-9, None)
    pairs = [
        (over_50, 1 - over_50),
        (over_70, over_50 - over_70),
        (over_90, over_70 - over_90),
        (total, over_90 - total),
        (rca, over_70 - rca),
        (both, rca - both),
    ]
    return np.stack([np.log(yes) - np.log(np.clip(no, 1e-9, None)) for yes, no in pairs], axis=-1)
