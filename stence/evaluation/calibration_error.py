"""Calibration error without the noise of its bins.

A plug-in calibration error is above 0 for a perfectly calibrated model, since the share of cases in each bin
varies by chance, and a bootstrap adds the same noise once more. Squared gaps have a known excess, their
variance, which is subtracted: the debiased calibration error, as a root mean square (Kumar et al. 2019; for
the reliability of a Brier score, Broecker 2012).

Where the gaps happen to be smaller than chance makes them, all resamples may be debiased to 0. An interval
from 0 to 0 would promise what no sample can show, so the upper end is at least the error that would be seen
in this sample in 39 of 40 perfectly calibrated ones (power-constrained limit: Cowan et al. 2011).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from stence.evaluation.bootstrap import bounds
from stence.evaluation.intervals import Interval, Z
from stence.evaluation.metrics import BinaryPredictions, Rows, in_bins, ratio


def calibration_error(
    predicted: BinaryPredictions, patients: NDArray[np.int64], draws: Iterable[NDArray[np.float64]]
) -> Interval:
    """Return the root mean squared gap between predicted risk and share of cases, with its 95 % interval.

    The mean is over bins of equal width, by weight; the square is debiased, and 0 where chance explains all.
    ``patients`` (n,) identify the patients, ``draws`` are blocks (r, n) of bootstrap resamples of patients.
    A bin with a single patient is left out: its noise is unknown. All is NaN without any other bin.
    """
    found, drawn, visible = resampled(predicted, patients, draws)
    lower, upper = bounds(drawn)
    return Interval(found, lower, max(upper, visible))


def resampled(
    predicted: BinaryPredictions, patients: NDArray[np.int64], draws: Iterable[NDArray[np.float64]]
) -> tuple[float, Rows, float]:
    """Return the error, that of each resample, and the least that would be seen."""
    members = in_bins(predicted)
    members[:, _patients(members, patients) < 2] = 0
    shares, gaps = _gaps(predicted, members, np.ones((1, len(patients))))
    blocks = [_gaps(predicted, members, block) for block in draws]
    empty = np.empty((0, members.shape[1]))
    drawn_shares, drawn_gaps = (
        (np.concatenate([empty, *each]) for each in zip(*blocks, strict=True)) if blocks else (empty, empty)
    )
    people = np.maximum(_patients(members, patients), 2)
    noise = _variance(drawn_gaps) * people / (people - 1)
    # A resample is as far from the sample as the sample is from the truth, so it holds the noise twice.
    found, drawn = _root(shares, gaps, noise)[0], _root(drawn_shares, drawn_gaps, 2 * noise)
    return float(found), drawn, _visible(shares[0], noise)


def _patients(members: NDArray[np.float64], patients: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the patients in each bin."""
    return np.array([len(np.unique(patients[inside > 0])) for inside in members.T])


def _gaps(
    predicted: BinaryPredictions, members: NDArray[np.float64], draws: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each bin's share of the weight, and its share of cases less its mean probability: (r, bins)."""
    weights = draws * predicted.weights
    inside = weights @ members
    excess = (predicted.label - predicted.probability)[:, None] * members
    return ratio(inside, inside.sum(axis=1, keepdims=True)), ratio(weights @ excess, inside)


def _variance(gaps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the variance of each bin's gap over resamples; 0 for bins that are always empty."""
    known = np.isfinite(gaps)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, gaps, 0).sum(axis=0) / count
    return np.asarray((np.where(known, gaps - mean, 0) ** 2).sum(axis=0) / count)


def _visible(shares: NDArray[np.float64], noise: NDArray[np.float64]) -> float:
    """Return the root of what the debiased mean square, 0 on average without error, exceeds in 1 of 40."""
    return float(np.sqrt(Z * np.sqrt(2 * ((shares * noise) ** 2).sum())))


def _root(shares: NDArray[np.float64], gaps: NDArray[np.float64], noise: NDArray[np.float64]) -> Rows:
    """Return the root of the mean squared gap less ``noise``, (r,); NaN without members."""
    squared = np.where(np.isfinite(gaps), shares * (np.nan_to_num(gaps) ** 2 - noise), 0.0).sum(axis=1)
    return np.where(np.isfinite(gaps).any(axis=1), np.sqrt(np.maximum(squared, 0)), np.nan)
