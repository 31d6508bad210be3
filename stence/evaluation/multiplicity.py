"""Adjustment of p-values where several hypotheses are tested together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def holm(p: Sequence[float]) -> NDArray[np.float64]:
    """p-values of a family of tests (n,), adjusted (Holm 1979).

    The probability that any true null hypothesis has an adjusted p of α or less is at most α, however the
    tests depend on each other.

    >>> holm([0.03, 0.01, 0.02]).tolist()
    [0.04, 0.03, 0.04]
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    adjusted = np.empty(len(values))
    adjusted[order] = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    return np.minimum(adjusted, 1)
