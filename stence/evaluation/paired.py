"""AUROCs of several models on the same patients, and the covariance of their estimates.

DeLong's method (1988) in its form for clustered data (Obuchowski 1997): an ECG's influence on an AUROC is the
share of the other class that it ranks correctly, less the AUROC, and the influences of a patient's ECGs are
added up before they are squared. Sample weights count as in ``stence.evaluation.metrics``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stence.evaluation.linearised import auroc, clustered_covariance
from stence.evaluation.metrics import BinaryPredictions

Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Areas:
    """AUROCs (k,) of k models and the covariance (k, k) of their estimates, NaN where undefined."""

    values: Reals
    covariance: Reals

    def contrast(self, weights: Sequence[float]) -> tuple[float, float]:
        """Return a weighted sum of the AUROCs and its standard error.

        >>> Areas(np.array([0.8, 0.7]), 0.01 * np.eye(2)).contrast((1, -1))
        (0.10000000000000009, 0.1414213562373095)
        """
        given = np.array(weights, dtype=np.float64)
        variance = float(given @ self.covariance @ given)
        return float(given @ self.values), float(np.sqrt(np.maximum(variance, 0.0)))


def areas(models: Sequence[BinaryPredictions], patients: NDArray[np.int64]) -> Areas:
    """Return the AUROCs of ``models`` on the same ECGs (n,) of ``patients`` (n,).

    >>> label = np.array([0, 1, 0, 1], np.float32)
    >>> demo = BinaryPredictions(np.array([0.1, 0.4, 0.5, 0.8]), label, 0.5)
    >>> areas([demo, demo], np.arange(4)).values.tolist()
    [0.75, 0.75]
    """
    found = [auroc(model, model.weights) for model in models]
    influences = np.stack(
        [model.weights * area.derivative for model, area in zip(models, found, strict=True)]
    )
    return Areas(np.array([area.value for area in found]), clustered_covariance(influences, patients))
