"""Simulate an ECG's indication, and the referral to the cath lab: for symptoms, or for a flag.

The referral depends only on data that the hospital records. It depends on disease only through the
indication. So indication, flag, age and sex determine its probability: there is no unmeasured confounder.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

INDICATIONS = ("chest pain", "dyspnoea", "palpitations", "check-up")
_BASE = np.array([-1.5, -1.0, -0.9, 0.0])
_PER_SHORTAGE = np.array([4.5, 1.5, 0.0, 0.0])
_PER_DECADE = np.array([0.0, 0.15, -0.15, 0.0])

_SENT_FOR_SYMPTOMS = {"chest pain": 0.2, "dyspnoea": -1.7, "palpitations": -2.4, "check-up": -2.7}
"""Log-odds of referral at 63 years, for a woman."""
_SENT_FOR_FLAG = -0.6


def indication(
    rng: np.random.Generator, shortage: NDArray[np.float64], age: NDArray[np.float64]
) -> NDArray[np.str_]:
    """Draw the indications (n,). Ischaemia (n, 3) causes chest pain and dyspnoea; ``age`` (n,) in years."""
    worst, decades = shortage.max(axis=1)[:, None], (age[:, None] - 63) / 10
    chance = softmax(_BASE + _PER_SHORTAGE * worst + _PER_DECADE * decades, axis=1).cumsum(axis=1)
    drawn = (rng.random(len(age))[:, None] > chance[:, :-1]).sum(axis=1)
    return np.array(INDICATIONS)[drawn]


def referral_after(
    indications: Sequence[str] | NDArray[np.str_],
    flagged: NDArray[np.bool_],
    age: NDArray[np.float64],
    sex: Sequence[str] | NDArray[np.str_],
) -> NDArray[np.float64]:
    """Compute the probability (n,) of angiography after an ECG from recorded data; ``sex`` is M or F.

    The ward refers for symptoms, or for a flag on any target, independently. Both are most likely at 68 years
    and less likely in older and younger patients.
    """
    symptoms = np.array([_SENT_FOR_SYMPTOMS[reason] for reason in indications])
    person = 0.3 * (np.asarray(sex) == "M") - 0.06 * ((age - 68) / 10) ** 2
    for_symptoms, for_flag = expit(symptoms + person), expit(_SENT_FOR_FLAG + person)
    return 1 - (1 - for_symptoms) * (1 - np.where(flagged, for_flag, 0.0))
