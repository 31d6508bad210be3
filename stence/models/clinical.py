"""Age and sex beside the ECG: late fusion of logits that tolerates missing values.

A model with this head has one submodel for each set of known values: none, age, sex, or both (pattern
submodels, Fletcher Mercaldo & Blume 2020, Biostatistics 21:236). So no value is imputed, and an ECG without
age and sex has the logits of the ECG network as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stence.domain.targets import TARGETS

ADULT_YEARS = (18.0, 110.0)
"""Ages outside count as unknown: other values are children, for whom nothing was learned, or placeholders."""
AGE, SEX = 1, 2
"""Bits of a pattern of known values: 0 is neither, 3 both."""
PATTERNS = (0, AGE, SEX, AGE | SEX)
BASIS = 4
"""Columns of ``basis``: 1, decades from 60 years, their square, and 1/2 for men and -1/2 for women."""
_MALE = {"M": 0.5, "F": -0.5}

Floats = NDArray[np.float64]


def clinical_values(ages: Sequence[float | None] | Floats, sexes: Iterable[str | None]) -> Floats:
    """Return age in years and sex (1/2 men, -1/2 women) of ECGs, (n, 2); NaN where unknown.

    >>> clinical_values([64.0, None, 999.0], ["M", "F", ""]).tolist()
    [[64.0, 0.5], [nan, -0.5], [nan, nan]]
    """
    age = np.asarray(ages, dtype=np.float64)
    low, high = ADULT_YEARS
    with np.errstate(invalid="ignore"):
        age = np.where((age >= low) & (age <= high), age, np.nan)
    return np.stack([age, np.array([_MALE.get(sex or "", np.nan) for sex in sexes], np.float64)], axis=1)


def patterns(clinical: Floats) -> NDArray[np.intp]:
    """Return the pattern of known values (n,), one of ``PATTERNS``, of clinical values (n, 2)."""
    known = ~np.isnan(clinical)
    return np.asarray(known[:, 0] * AGE + known[:, 1] * SEX, dtype=np.intp)


def basis(clinical: Floats, ages: tuple[float, float] = ADULT_YEARS) -> Floats:
    """Return the terms of clinical values (n, 2) as in ``BASIS``, (n, 4); 0 where unknown.

    Ages are limited to the range ``ages``, so that nothing is extrapolated.
    """
    decades = (np.clip(clinical[:, 0], *ages) - 60) / 10
    terms = np.stack([np.ones(len(clinical)), decades, decades**2, clinical[:, 1]], axis=1)
    return np.nan_to_num(terms)


class ClinicalHead(nn.Module):
    """Fusion of an ECG network's logits with age and sex, per pattern of known values.

    ``logit' = weights[pattern] * logit + coefficients[pattern] . basis``. A new head changes no logit.

    >>> head = ClinicalHead(outputs=1)
    >>> head.coefficients[AGE | SEX, 0, 1] = 0.5  # per decade
    >>> logits, known = np.zeros((2, 1)), clinical_values([80.0, None], ["M", "M"])
    >>> head.fuse(logits, known).tolist()
    [[1.0], [0.0]]
    """

    weights: Tensor
    coefficients: Tensor
    ages: Tensor

    def __init__(self, outputs: int = len(TARGETS)) -> None:
        super().__init__()
        shape = (len(PATTERNS), outputs, BASIS)
        self.register_buffer("weights", torch.ones(len(PATTERNS), dtype=torch.float64))
        self.register_buffer("coefficients", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("ages", torch.tensor(ADULT_YEARS, dtype=torch.float64))

    def fuse(self, logits: Floats, clinical: Floats) -> Floats:
        """Return fused logits (n, outputs) of ``logits`` (n, outputs) and ``clinical`` values (n, 2).

        Each ECG has the same result in any batch: terms are added in a fixed order.
        """
        pattern = patterns(clinical)
        low, high = self.ages.tolist()
        weights, coefficients = self.weights.cpu().numpy(), self.coefficients.cpu().numpy()[pattern]
        fused = weights[pattern, None] * logits
        for column, term in enumerate(basis(clinical, (low, high)).T):
            fused = fused + coefficients[:, :, column] * term[:, None]
        return np.asarray(fused)
