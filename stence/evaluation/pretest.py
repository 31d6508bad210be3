"""Pre-test probability of obstructive coronary disease, as published: what is known without an ECG.

The table of the 2024 ESC guidelines for chronic coronary syndromes, figure 4, the risk-factor-weighted
clinical likelihood (Vrints et al., Eur Heart J 2024;45:3415), of the model by Winther et al.
(JACC 2020;76:2421). The disease is a stenosis of at least 50 %. The probability depends on sex, age, symptoms
and the number of risk factors. A hospital's files have no more than this of them:

- *Risk factors* (family history, smoking, dyslipidaemia, hypertension, diabetes) are not on file. Everybody
  counts as having 2 or 3 of the 5, the middle of the table.
- *Symptoms* are those of the ECG's indication, where it is one of ``PHRASES``. Everybody else counts as
  having none. Chest pain without a further word counts as atypical, in the middle of the scores.
- *Age and sex*: without either, and below 30 or above 80 years, there is no probability. The table is not
  extrapolated.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stence.cohort.entries import indication_code

NAME = "pre-test probability of the ESC 2024 table (published; obstructive disease of >= 50 %)"
TARGET = "stenosis_50"
AGES = (30, 80)
"""Completed years of the youngest and the oldest in the table."""
RISK_FACTORS = 2
"""Assumed number of risk factors of everybody: 2 or 3."""
TYPICAL, ATYPICAL, NONE = 3, 2, 1
"""Symptom scores. Score 0 reads as 1: both are one column of the table."""
PHRASES = {
    TYPICAL: ("angina", "angina pectoris", "stable angina", "typical angina", "i20.8", "i20.9"),
    ATYPICAL: (
        *("atypical angina", "chest pain", "chest pain on exertion", "r07.2", "r07.4"),
        *(
            "dyspnoea",
            "dyspnea",
            "dyspnoea on exertion",
            "dyspnea on exertion",
            "shortness of breath",
            "r06.0",
        ),
    ),
    NONE: ("non-anginal chest pain", "noncardiac chest pain", "non-cardiac chest pain", "r07.3"),
}
"""Indications, and codes of ICD-10, by symptom score. Capitals and outer spaces do not matter."""
PERCENT = np.array(
    [
        [
            [[0, 1, 1, 2, 4], [1, 1, 2, 4, 7], [2, 3, 5, 7, 11]],
            [[1, 2, 4, 8, 15], [2, 4, 7, 12, 19], [5, 8, 12, 17, 24]],
        ],
        [
            [[0, 1, 2, 3, 6], [1, 2, 3, 6, 10], [3, 5, 7, 11, 16]],
            [[2, 3, 6, 12, 22], [4, 6, 11, 17, 27], [8, 12, 17, 25, 34]],
        ],
        [
            [[2, 4, 6, 10, 16], [5, 7, 10, 14, 19], [10, 12, 15, 19, 23]],
            [[9, 14, 21, 32, 44], [14, 20, 27, 35, 44], [22, 27, 33, 39, 45]],
        ],
    ]
)
"""Percent by symptom score (0-1, 2, 3), sex (women, men), risk factors (0-1, 2-3, 4-5) and age group
(30-39, 40-49, 50-59, 60-69, 70-80 years)."""

Reals = NDArray[np.float64]
_SCORES: Mapping[str, int] = {
    indication_code(phrase): score for score, phrases in PHRASES.items() for phrase in phrases
}


def symptom_scores(indications: NDArray[np.str_]) -> NDArray[np.int64]:
    """Return the symptom scores (n,) of ``indications`` (n,), as ``indication_code``; 0 for unknown ones.

    >>> symptom_scores(np.array([indication_code("Dyspnoea "), indication_code("check-up"), ""])).tolist()
    [2, 0, 0]
    """
    return np.array([_SCORES.get(code, 0) for code in indications.tolist()], dtype=np.int64)


def pretest_probability(
    age: Reals, sex: NDArray[np.str_], score: ArrayLike, risk_factors: ArrayLike = RISK_FACTORS
) -> Reals:
    """Return the probabilities (n,) of the table, 0 to 1; NaN where it has none.

    ``age`` (n,) in years or NaN, ``sex`` (n,) F, M or empty; symptom ``score`` 0 to 3 and the number of
    ``risk_factors`` 0 to 5, one or (n,).

    >>> pretest_probability(np.array([64.5, 64.5, 81.0]), np.array(["M", "F", "M"]), 3).tolist()
    [0.35, 0.14, nan]
    """
    years = np.floor(np.nan_to_num(age, nan=-1.0))
    known = (years >= AGES[0]) & (years <= AGES[1]) & ((sex == "F") | (sex == "M"))
    group = np.clip((years - AGES[0]) // 10, 0, PERCENT.shape[-1] - 1).astype(np.int64)
    row = np.maximum(score, 1) - 1
    percent = PERCENT[row, (sex == "M").astype(np.int64), np.asarray(risk_factors) // 2, group]
    return np.where(known, percent / 100, np.nan)
