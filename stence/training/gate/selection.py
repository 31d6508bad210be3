"""AUROC of a challenger without the luck that selection rewards.

A model that looks better than the champion on the test patients is on average partly lucky there, the more so
the more models were tried. Retrainings differ in truth by little: by ``retraining_sd`` each. The estimate is
the mean of the true AUROC given the measured difference (shrinkage of normal means, Efron and Morris 1973),
which no rule of selection biases as long as the true differences have about that spread.
"""

from __future__ import annotations

import numpy as np

from stence.evaluation.paired import Areas
from stence.training.gate.config import GateConfig


def without_luck(areas: Areas, config: GateConfig) -> dict[str, float]:
    """Return the AUROC of the first of two models and its 95 % interval; the second is the champion.

    >>> found = Areas(np.array([0.80, 0.75]), 0.0004 * np.array([[1, 0.6], [0.6, 1]]))
    >>> without_luck(found, GateConfig())
    {'value': 0.7846, 'lower': 0.7484, 'upper': 0.8208}
    """
    difference, error = areas.contrast([1.0, -1.0])
    # Half of the difference's noise is the challenger's. The estimate of its own share would be too small
    # where it was lucky: an AUROC that is measured higher has a lower estimated error.
    total = error**2 + 2 * config.retraining_sd**2
    share = error**2 / 2 / total if total > 0 else 0.0
    value = float(areas.values[0]) - share * difference
    spread = float(np.sqrt(max(float(areas.covariance[0, 0]) - share * error**2 / 2, 0.0)))
    return {
        "value": round(value, 4),
        "lower": round(max(value - 1.96 * spread, 0.0), 4),
        "upper": round(min(value + 1.96 * spread, 1.0), 4),
    }
