"""The clinical baseline: what is predicted without an ECG. A model must be better to be worth its ECGs.

It is a logistic regression per target on the training patients, on age, its square, sex, and the indication
where ECGs state it. Unknown values have indicators of their own. Its targets need not be coherent: it is no
model to score with.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from stence.cohort import Part
from stence.evaluation.logistic import logistic_regression
from stence.evaluation.predictions import Predictions
from stence.models.clinical import basis

PRIOR_SD = 2.0
"""Of each coefficient but the constant: so weak that it only keeps effects finite."""
MIN_PATIENTS = 20
"""Minimum training patients with an indication; rarer ones count as not stated."""


def clinical_baseline(train: Part, test: Part) -> Predictions:
    """Return the baseline's predictions for the ECGs of ``test``, fitted on the patients of ``train``.

    Every patient weighs the same, shared among the patient's ECGs.
    """
    named = _common_indications(train)
    ours, theirs = _terms(train, named), _terms(test, named)
    columns = [
        expit(theirs @ _coefficients(ours, label, train.weights)) if (~np.isnan(label)).any() else None
        for label in train.labels.T
    ]
    unknown = np.full(len(test), 0.5)
    return Predictions.of(test, np.stack([unknown if each is None else each for each in columns], axis=1))


def _coefficients(
    terms: NDArray[np.float64], label: NDArray[np.float32], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    known = ~np.isnan(label)
    precision = np.full(terms.shape[1], PRIOR_SD**-2)
    precision[0] = 1e-6
    answer = label[known].astype(np.float64)
    return logistic_regression(terms[known], answer, weights[known], precision).coefficients


def baseline_name(train: Part) -> str:
    """Return what the baseline of these training patients is made of."""
    return "age, sex and indication" if _common_indications(train) else "age and sex alone"


def _common_indications(train: Part) -> list[str]:
    """Return the codes of the indications that enough training patients have."""
    if train.indication is None:
        return []
    codes = [str(code) for code in np.unique(train.indication) if code]
    patients = {code: len(np.unique(train.patients[train.indication == code])) for code in codes}
    return [code for code, count in patients.items() if count >= MIN_PATIENTS]


def _terms(part: Part, indications: Sequence[str]) -> NDArray[np.float64]:
    """Return the terms (n, 6 + indications): those of ``basis``, age unknown, sex unknown, indications."""
    stated = np.full(len(part), "") if part.indication is None else part.indication
    columns = [stated[:, None] == np.array(indications, dtype="U12")] if indications else []
    return np.hstack([basis(part.clinical), np.isnan(part.clinical), *columns])
