"""Fit the clinical head: submodels of age and sex on training patients, fused with the ECG by stacking.

The ECG network is fitted first and does not change. Each submodel of known values (age, sex, both) is a
penalised logistic regression per question, on the training patients. Then each is stacked with the ECG's
logits (Wolpert 1992) on the validation patients, because the network's logits of its own training patients
are too confident. Stacking has few parameters: the questions share both weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from stence.cohort import Part
from stence.evaluation.logistic import Floats, logistic_regression
from stence.fitting.finetuning import TrainingConfig, ecg_logits, learned_answers
from stence.fitting.tasks import TREE
from stence.models import RiskModel
from stence.models.clinical import AGE, PATTERNS, SEX, ClinicalHead, basis, patterns

PRIOR_SD = 0.5
"""Of the log-odds per decade, per squared decade, and between the sexes: few cases give small effects."""
RANGE = (2.5, 97.5)
"""Percentiles of the training ages between which the effect of age is not constant."""
_TERMS = {AGE: (1, 2), SEX: (3,), AGE | SEX: (1, 2, 3)}
"""Columns of the basis of each submodel, besides the constant."""
_FREE = 1e-6
"""Precision of a parameter without prior."""

Answers = NDArray[np.float32]


class Examples:
    """ECGs to learn from: clinical values (n, 2), answers (n, questions; NaN: not asked), weights (n,)."""

    def __init__(self, clinical: Floats, answers: Answers, weights: Floats) -> None:
        self.clinical, self.answers, self.weights = clinical, answers, weights

    def knowing(self, pattern: int) -> NDArray[np.bool_]:
        """Return the ECGs (n,) with at least the values of a pattern."""
        return (patterns(self.clinical) & pattern) == pattern


def fuse_age_and_sex(
    model: RiskModel, config: TrainingConfig, train: Part, validation: Part, device: str
) -> None:
    """Give a model of the tree, trained on ECGs alone, a clinical head fitted on the same patients."""
    logits = ecg_logits(model, validation, device)
    lessons = Examples(train.clinical, *learned_answers(config, train, TREE))
    unseen = Examples(validation.clinical, TREE.answers(validation), validation.weights)
    model.clinical = ClinicalHead(len(TREE.outputs))
    fit_head(model.clinical, lessons, unseen, logits)


def fit_head(head: ClinicalHead, train: Examples, validation: Examples, logits: Floats) -> None:
    """Fit a new head in place. ``logits`` (n, questions) are the ECG network's of the validation ECGs.

    Values that no training ECG states are never used.
    """
    stated = [part for part in (AGE, SEX) if train.knowing(part).any()]
    if AGE in stated:
        years = train.clinical[train.knowing(AGE), 0]
        head.ages.copy_(torch.from_numpy(np.percentile(years, RANGE)))
    ages = (float(head.ages[0]), float(head.ages[1]))
    for pattern in PATTERNS[1:]:
        used = sum(part for part in stated if pattern & part)
        if used:
            weight, coefficients = _submodel(used, train, validation, logits, ages)
            head.weights[pattern] = weight
            head.coefficients[pattern] = torch.from_numpy(coefficients)


def _submodel(
    pattern: int, train: Examples, validation: Examples, logits: Floats, ages: tuple[float, float]
) -> tuple[float, Floats]:
    """Return the weight of the ECG's logit and the coefficients (questions, 4) of one submodel.

    They are relative to the ECG alone, whose weight is 1: the calibration after it suits all patterns.
    """
    rows = train.knowing(pattern)
    terms = basis(train.clinical[rows], ages)
    coefficients = _regressions(terms, _TERMS[pattern], train.answers[rows], train.weights[rows])
    rows = validation.knowing(pattern)
    clinical = basis(validation.clinical[rows], ages) @ coefficients.T
    answers, weights = validation.answers[rows], validation.weights[rows]
    (alone,), before = _stack([logits[rows]], answers, weights)
    (ecg, both), after = _stack([logits[rows], clinical], answers, weights)
    coefficients *= both
    coefficients[:, 0] += after - before
    return ecg / alone, coefficients / alone


def _regressions(terms: Floats, used: tuple[int, ...], answers: Answers, weights: Floats) -> Floats:
    """Return coefficients (questions, 4) whose mean over the asked ECGs is 0: log-odds above the average."""
    found = np.zeros((answers.shape[1], terms.shape[1]))
    columns = [0, *used]
    precision = np.array([_FREE, *[PRIOR_SD**-2] * len(used)])
    for question, answer in enumerate(answers.T):
        asked = ~np.isnan(answer) & (weights > 0)
        if asked.any():
            x, y, w = terms[asked][:, columns], answer[asked].astype(np.float64), weights[asked]
            found[question, columns] = logistic_regression(x, y, w, precision).coefficients
            found[question, 0] = -np.average(terms[asked] @ (found[question] * (np.arange(4) > 0)), weights=w)
    return found


def _stack(parts: Sequence[Floats], answers: Answers, weights: Floats) -> tuple[Floats, Floats]:
    """Return one positive weight per part, and an intercept per question (questions,).

    Each of ``parts`` is (n, questions). Priors: log weight N(0, 1), intercept N(0, 1).
    """
    asked = ~np.isnan(answers)
    y, w = np.nan_to_num(answers).astype(np.float64), weights[:, None] * asked
    x = np.stack(parts)

    def loss(values: Floats) -> tuple[float, Floats]:
        factors, intercepts = np.exp(values[: len(x)]), values[len(x) :]
        z = np.tensordot(factors, x, axes=1) + intercepts
        value = (w * (np.logaddexp(0, z) - y * z)).sum() + 0.5 * values @ values
        pull = w * (expit(z) - y)
        slopes = factors * np.tensordot(x, pull, axes=2)
        return float(value), np.concatenate([slopes, pull.sum(axis=0)]) + values

    found = minimize(loss, np.zeros(len(x) + answers.shape[1]), jac=True, method="L-BFGS-B").x
    return np.exp(found[: len(x)]), found[len(x) :]
