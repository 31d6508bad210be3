"""Coherent probabilities: the six targets as a tree of yes/no questions.

A question is asked only if the answer to its parent is yes, as in a continuation-ratio model
(Fienberg 1980; Tutz 1991):

    >= 50 %?  --yes-->  >= 70 %?  --yes-->  >= 90 %?  --yes-->  100 %?
                           |
                          yes-->  RCA >= 70 %?  --yes-->  LCA >= 70 % as well?
                                       |
                                       no--> then it is the LCA

The network returns one logit per question. A target's probability is a product of numbers in [0, 1]. So in
any floating-point format a probability never rises with severity, no artery exceeds the patient, and the sum
of both arteries is never below the patient.
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
"""Parent of each target in the tree: a question is asked only if its parent holds."""


def answers(labels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Convert labels (n, 6) to answers of the questions (n, 6): NaN if not asked or unknown.

    >>> answers(np.array([[1, 0, 0, 0, 0, 0]], np.float32)).tolist()
    [[1.0, 0.0, nan, nan, nan, nan]]
    """
    asked = labels.copy()
    for column, parent in enumerate(PARENTS.values()):
        if parent is not None:
            asked[labels[:, TARGET_NAMES.index(parent)] != 1, column] = np.nan
    return asked


def probabilities(logits: NDArray[Real]) -> NDArray[Real]:
    """Convert logits of the questions (..., 6) to probabilities of the targets (..., 6), in their precision.

    >>> probabilities(np.zeros(6)).tolist()
    [0.5, 0.25, 0.125, 0.0625, 0.125, 0.1875]
    """
    yes = np.moveaxis(expit(logits), -1, 0)
    over_50 = yes[0]
    over_70 = over_50 * yes[1]
    over_90 = over_70 * yes[2]
    total = over_90 * yes[3]
    rca = over_70 * yes[4]
    lca = over_70 * (1 - yes[4] * (1 - yes[5]))
    return np.stack([over_50, over_70, over_90, total, rca, lca], axis=-1)
