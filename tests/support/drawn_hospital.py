"""The practice hospital's patients with noisy signs in place of ECGs, and a tree of regressions on them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit

from stence.domain.targets import labels
from stence.simulation.cardiac_dipole import ISCHAEMIA_SPREAD, SCAR_SPREAD
from stence.simulation.coronaries import draw_trees, ischaemia
from stence.simulation.patients import expected_burden

NOISE = 0.5
Reals = NDArray[np.float64]


class Hospital(NamedTuple):
    """Features (n, 10) with a constant, labels (n, 6), who was referred (n,), and a place for splits (n,)."""

    features: Reals
    labels: NDArray[np.float32]
    referred: NDArray[np.bool_]
    place: Reals
    """Uniform in [0, 1): below .6 training, above held out, from .85 test."""


def draw(rng: np.random.Generator, patients: int, share: float) -> Hospital:
    """Draw patients of whom ``share`` are referred, by the practice hospital's rule."""
    age = np.clip(rng.normal(63, 13, patients), 22, 94).astype(int)
    male = rng.random(patients) < 0.54
    risk = rng.standard_normal(patients)
    burden = np.array([expected_burden(a, "M" if m else "F") for a, m in zip(age, male, strict=True)])
    trees = draw_trees(rng, burden + risk)
    shortage = ischaemia(trees.degrees)
    pull = 3.2 * shortage.max(axis=1) + 0.35 * risk
    start = brentq(lambda a: expit(a + pull).mean() - share, -12, 4)
    signs = np.hstack([shortage / ISCHAEMIA_SPREAD, trees.scar / SCAR_SPREAD])
    signs = signs + np.sqrt(1 + NOISE**2) * rng.standard_normal(signs.shape)
    decades = (age - 63) / 13
    features = np.column_stack([signs, decades, decades**2, male, np.ones(patients)])
    known = np.array([labels(degrees) for degrees in trees.degrees.tolist()])
    return Hospital(features, known, rng.random(patients) < expit(start + pull), rng.random(patients))


def fit_tree(features: Reals, asked: NDArray[np.float32]) -> Reals:
    """Fit one ridge logistic regression per question; weights (features, 6)."""
    lines = []
    for question in range(asked.shape[1]):
        known = ~np.isnan(asked[:, question])
        x, y = features[known], asked[known, question]
        line, ridge = np.zeros(x.shape[1]), np.append(np.full(x.shape[1] - 1, 3.0), 1e-3)
        for _ in range(30):
            p = expit(x @ line)
            curve = (x * (p * (1 - p))[:, None]).T @ x + np.diag(ridge)
            line -= np.linalg.solve(curve, x.T @ (p - y) + ridge * line)
        lines.append(line)
    return np.column_stack(lines)
