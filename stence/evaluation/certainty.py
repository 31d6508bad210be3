"""What held-out patients leave open about a model's scores: draws of its error, and the reach of its ECGs.

The estimand is the share of cases among everybody screened with the same embedding, age and sex as an ECG.
The score estimates it, and errs in two ways. The calibration and the population are uncertain: ``screened``
draws both. And the network, learned from few patients, errs by more in some ECGs than in others: its error in
a question's logit is taken as linear in the coordinates (``stence.models.certainty``), with coefficients
N(0, width^2 / 32), so that ``width`` is its standard deviation over the training ECGs. The width is the same
for all questions, has a half-normal prior, and is learned from held-out patients with the coefficients: a
logistic regression on top of the score (Laplace's approximation, on a grid of widths). The draws are widened,
see SPREAD. No training patient takes part: the network has fitted their labels.

The interval does not hold errors that are not linear in the coordinates, and rests on the assumption of
``screened`` about referral. It does not say how a single patient will turn out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stence.evaluation import calibrate
from stence.evaluation.logistic import LogisticFit, logistic_regression
from stence.evaluation.screened import MIN_PATIENTS, Referred
from stence.models import Calibration, Certainty
from stence.models.certainty import distances
from stence.models.coherence import answers

WIDTHS = np.array([0.03, 0.1, 0.2, 0.3, 0.45, 0.65, 0.9, 1.2, 1.6])
"""Grid of the standard deviation of the network's error, in log odds."""
WIDTH_PRIOR = 1.0
"""Scale of its half-normal prior."""
SPREAD = 2**0.5
"""Factor of the draws' spread: as much error again for what 32 coordinates do not show of an embedding.
Chosen by coverage in drawn hospitals (``tests/benchmarks/certainty.py``)."""
MIN_ECGS = 200
"""Minimum held-out ECGs for a percentile of 99."""
QUANTILES = 1001
RIDGE = 1e-3
"""Share of the mean variance that is added to every direction, so that none has no variance."""

Reals = NDArray[np.float64]


class Sample(NamedTuple):
    """Held-out ECGs of everybody screened: projections (n, 32) and sample weights (n,)."""

    projections: NDArray[np.float32]
    weights: Reals


def certainty_of(
    train: NDArray[np.float32],
    held: Referred,
    of_held: NDArray[np.float32],
    others: Sample,
    draws: Sequence[Calibration],
) -> Certainty:
    """Return what a model knows about its own scores.

    ``train`` (n, 32) are the projections of the training ECGs, ``of_held`` (m, 32) those of the ``held``
    ECGs, ``others`` held-out ECGs that stand for everybody screened. Without ``draws`` of the calibration, or
    with too few patients, there are no intervals; with too few ``others`` no novelty.
    """
    mean, whitening = _whitening(train.astype(np.float64))
    none = np.empty(0)
    bare = Certainty(mean, whitening, none, np.empty((0, held.logits.shape[1], len(mean))))
    reach = _quantiles(distances(bare.coordinates(others.projections)), others.weights)
    enough = len(np.unique(held.patients)) >= MIN_PATIENTS and len(draws) > 0
    offsets = _offsets(held, bare.coordinates(of_held), len(draws)) if enough else bare.offsets
    kept = tuple(draws) if enough else ()
    return Certainty(mean, whitening, reach if len(others.weights) >= MIN_ECGS else none, offsets, kept)


def _whitening(projections: Reals) -> tuple[Reals, Reals]:
    """Return the mean (d,) and the inverse Cholesky factor (d, d) of the covariance."""
    covariance = np.cov(projections, rowvar=False)
    covariance += RIDGE * (np.trace(covariance) / len(covariance) + 1e-12) * np.eye(len(covariance))
    factor = np.linalg.cholesky(covariance)
    return projections.mean(axis=0), np.linalg.solve(factor, np.eye(len(factor)))


def _quantiles(values: Reals, weights: Reals) -> Reals:
    """Return weighted quantiles, evenly spaced from the smallest value to the largest."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) - weights[order] / 2
    return np.interp(np.linspace(0, 1, QUANTILES), reached / weights.sum(), values[order])


def _offsets(held: Referred, coordinates: Reals, count: int) -> Reals:
    """Draw coefficients (count, questions, d) of the error of the network's logits."""
    rng = np.random.default_rng(0)
    posterior, fits = width_posterior(held, coordinates)
    drawn = rng.choice(len(WIDTHS), size=count, p=posterior)
    return np.array([[_draw(fit, rng) for fit in fits[place]] for place in drawn])


def width_posterior(held: Referred, coordinates: Reals) -> tuple[Reals, list[list[LogisticFit]]]:
    """Return the probability of each of ``WIDTHS``, and for each the fit of every question."""
    line = calibrate.fit(held.logits, answers(held.labels), held.weights)
    fits, evidence = [], -0.5 * (WIDTHS / WIDTH_PRIOR) ** 2
    for place, width in enumerate(WIDTHS):
        found = [_error(held, coordinates, line, question, width) for question in range(held.logits.shape[1])]
        fits.append([fit for fit, _ in found])
        evidence[place] += sum(of for _, of in found)
    chance = np.exp(evidence - evidence.max()) * np.gradient(WIDTHS)
    return chance / chance.sum(), fits


def _error(
    held: Referred, coordinates: Reals, line: Calibration, question: int, width: float
) -> tuple[LogisticFit, float]:
    """Fit the error of a question's logit under one width; return the log evidence of the width too."""
    answer = answers(held.labels)[:, question]
    known = ~np.isnan(answer)
    y, weights = answer[known].astype(np.float64), held.weights[known]
    x, offset = coordinates[known] * line.slopes[question], line.apply(held.logits)[known, question]
    precision = np.full(x.shape[1], x.shape[1] / width**2)
    fit = logistic_regression(x, y, weights, precision, offset)
    z = x @ fit.coefficients + offset
    likelihood = weights @ (y * z - np.logaddexp(0, z)) - 0.5 * precision @ fit.coefficients**2
    volume = np.log(precision).sum() - np.linalg.slogdet(fit.curvature)[1]
    return fit, float(likelihood + 0.5 * volume)


def _draw(fit: LogisticFit, rng: np.random.Generator) -> Reals:
    """Draw coefficients from the normal approximation of their posterior, widened by SPREAD."""
    factor = np.linalg.cholesky(fit.curvature)
    noise = rng.standard_normal(len(fit.coefficients))
    return np.asarray(fit.coefficients + SPREAD * np.linalg.solve(factor.T, noise))
