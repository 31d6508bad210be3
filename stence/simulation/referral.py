"""Why an ECG is taken, and whom the ward then sends to the catheter laboratory: for symptoms, or for a flag.

Both depend only on what the hospital records, and on disease through the indication alone. So whoever knows
indication, flag, age and sex knows all that decides who is sent: nothing unmeasured is left.
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
"""Log-odds at 63 years, for a woman."""
_SENT_FOR_FLAG = -0.6


def indication(
    rng: np.random.Generator, shortage: NDArray[np.float64], age: NDArray[np.float64]
) -> NDArray[np.str_]:
    """Why each ECG (n,) is ordered: ischaemia (n, 3) hurts, and takes the breath away; ``age`` (n,) years."""
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
    """Probability (n,) of angiography after an ECG, from what is recorded of it; ``sex`` is M or F.

    The ward sends for symptoms, or for a flag on any target: the one does not know of the other. Both grow
    rarer away from 68 years, the oldest being spared and the youngest not suspected.
    """
    symptoms = np.array([_SENT_FOR_SYMPTOMS[reason] for reason in indications])
    person = 0.3 * (np.asarray(sex) == "M") - 0.06 * ((age - 68) / 10) ** 2
    for_symptoms, for_flag = expit(symptoms + person), expit(_SENT_FOR_FLAG + person)
    return 1 - (1 - for_symptoms) * (1 - np.where(flagged, for_flag, 0.0))
