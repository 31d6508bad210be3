"""Agreement of two models beyond age and sex: do both read the same from the ECG itself?

Models read age and sex beside the ECG, and these alone explain a third to two thirds of the variance of the
ranks. So the ranks of two models would agree even if the network of one were broken.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from stence.evaluation.intervals import Interval, Z
from stence.models.clinical import basis

Floats = NDArray[np.float64]


def rank_agreement(a: Floats, b: Floats, clinical: Floats, z: float = Z) -> Interval | None:
    """Return Spearman's partial correlation of risks ``a`` and ``b`` (n,), given age and sex.

    ``clinical`` (n, 2) are those of ``stence.models.clinical``, NaN where unknown. The interval, of ``z``
    standard errors to either side, is that of Bonett and Wright (2000) less a degree of freedom for each term
    of age and sex. None where the rest of one side does not vary, or where there are too few.

    >>> risk, known = np.arange(40.0), np.full((40, 2), np.nan)
    >>> rank_agreement(risk, risk**2, known).value.__round__(3), rank_agreement(risk, risk * 0, known)
    (1.0, None)
    """
    terms = np.hstack([basis(clinical), np.isnan(clinical)])
    used = int(np.linalg.matrix_rank(terms))
    if len(a) < used + 4:
        return None
    ours, theirs = (_beyond(rankdata(each), terms) for each in (a, b))
    scale = float(np.sqrt((ours @ ours) * (theirs @ theirs)))
    if scale < 1e-9 * len(a):
        return None
    value = float(ours @ theirs) / scale
    half = z * math.sqrt((1 + value**2 / 2) / (len(a) - used - 2))
    middle = math.atanh(min(max(value, -0.999999), 0.999999))
    return Interval(value, math.tanh(middle - half), math.tanh(middle + half))


def _beyond(ranks: Floats, terms: Floats) -> Floats:
    """Return what the terms do not explain of the ranks."""
    fitted, *_ = np.linalg.lstsq(terms, ranks, rcond=None)
    return np.asarray(ranks - terms @ fitted)
