"""Probabilities that cannot contradict each other: the six targets as a tree of yes/no questions.

Each question is asked only where its parent was answered yes, as in a continuation-ratio model
(Fienberg 1980; Tutz 1991):

    >= 50 %?  --yes-->  >= 70 %?  --yes-->  >= 90 %?  --yes-->  100 %?
                           |
                          yes-->  RCA >= 70 %?  --yes-->  LCA >= 70 % as well?
                                       |
                                       no--> then it is the LCA

The network answers with one logit a question. A target's probability is a product of numbers in [0, 1], so
in any floating-point format it never rises with severity, an artery's never exceeds the patient's,
and the two arteries together are never less likely than the patient.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from stence.domain.targets import TARGET_NAMES

Real = TypeVar("Real", np.float32, np.float64)

PARENTS = {
    "stenosis_50": None,
    "stenosis_70": "stenosis_50",
    "stenosis_90": "stenosis_70",
    "stenosis_100": "stenosis_90",
    "rca_70": "stenosis_70",
    "lca_70": "rca_70",
}
"""The target that must hold for this one to be asked."""


def answers(labels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Labels (n, 6) as answers to the questions (n, 6): NaN where one is not asked or unsettled."""
    asked = labels.copy()
    for column, parent in enumerate(PARENTS.values()):
        if parent is not None:
            asked[labels[:, TARGET_NAMES.index(parent)] != 1, column] = np.nan
    return asked


def probabilities(logits: NDArray[Real]) -> NDArray[Real]:
    """Logits of the questions (..., 6) -> probabilities of the targets (..., 6), in the same precision."""
    yes = np.moveaxis(expit(logits), -1, 0)
    over_50 = yes[0]
    over_70 = over_50 * yes[1]
    over_90 = over_70 * yes[2]
    total = over_90 * yes[3]
    rca = over_70 * yes[4]
    lca = over_70 * (1 - yes[4] * (1 - yes[5]))
    return np.stack([over_50, over_70, over_90, total, rca, lca], axis=-1)
