"""Relations between leads: what Einthoven's law and neighbouring electrodes say of names and polarities.

All relations hold between slopes, so offsets and wander do not matter. The products of the leads' slopes
(12, 12) are enough for all of them, also for leads that are exchanged or turned.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from stence.ecg.compiled import compiled
from stence.ecg.recording import LEADS

MAX_EXPLAINED = 0.2
"""Contradiction that a sound ECG may have: in 842 real ones the largest is 0.18."""
_LAG_SECONDS = 0.04
"""Lag of the slopes. It keeps QRS complex and T wave, and removes baseline wander."""
_LIMB, _V1, _V6 = 6, LEADS.index("V1"), LEADS.index("V6")
_AGAINST_BOTH, _V6_AGAINST = -0.6, -0.7
"""Correlations of an inverted chest lead with its neighbours. None of 170 real ECGs has any such lead."""

_DERIVED = np.array(
    [
        [1, -1, 1, 0, 0, 0],
        [0.5, 0.5, 0, 1, 0, 0],
        [-1, 0.5, 0, 0, 1, 0],
        [0.5, -1, 0, 0, 0, 1],
    ]
)
"""III, aVR, aVL and aVF minus their values by Einthoven's law and Goldberger's definitions."""

Products = NDArray[np.float64]
"""Sums of products of the slopes of each two leads (12, 12)."""


def slope_products(clean: NDArray[np.float32], sampling_rate: float) -> Products:
    """Return the products of the slopes of leads (12, samples)."""
    return _products(clean, max(1, round(_LAG_SECONDS * sampling_rate)))


@compiled
def _products(clean: NDArray[np.float32], lag: int) -> Products:
    leads, count = len(clean), max(0, (clean.shape[1] - 1) // lag)
    slopes, products = np.empty((leads, count)), np.empty((leads, leads))
    for lead in range(leads):
        for i in range(count):
            slopes[lead, i] = np.float64(clean[lead, (i + 1) * lag]) - clean[lead, i * lag]
    for one in range(leads):
        for other in range(one + 1):
            total = 0.0
            for i in range(count):
                total += slopes[one, i] * slopes[other, i]
            products[one, other] = products[other, one] = total
    return products


@compiled
def correlations(products: Products) -> NDArray[np.float64]:
    """Return the correlation of the slopes of each two leads; 0 for a flat lead."""
    related = np.zeros(products.shape)
    for one in range(len(products)):
        for other in range(len(products)):
            scale = np.sqrt(products[one, one] * products[other, other])
            related[one, other] = products[one, other] / scale if scale > 0 else 0.0
    return related


@compiled
def contradiction(products: Products) -> float:
    """Return the largest disagreement of III, aVR, aVL and aVF with their values derived from I and II.

    It is the RMS slope of the difference, divided by the larger RMS slope of I and II.
    """
    largest = 0.0
    for row in _DERIVED:
        square = 0.0
        for one in range(len(row)):
            for other in range(len(row)):
                square += row[one] * products[one, other] * row[other]
        largest = max(largest, square)
    scale = max(products[0, 0], products[1, 1])
    return np.sqrt(largest / scale) if scale > 0 else 0.0


def explain(products: Products) -> tuple[str, ...]:
    """Return the lead whose inversion, or the two whose exchange, best ends a contradiction; else nothing."""
    left, leads = min((contradiction(change @ products @ change.T), leads) for leads, change in _changes())
    return leads if left <= MAX_EXPLAINED else ()


@lru_cache(maxsize=1)
def _changes() -> tuple[tuple[tuple[str, ...], NDArray[np.float64]], ...]:
    return tuple(_all_changes())


def _all_changes() -> Iterator[tuple[tuple[str, ...], NDArray[np.float64]]]:
    """Yield each inversion of a limb lead, and each exchange of a limb lead with another lead."""
    same = np.eye(len(LEADS))
    for lead in range(_LIMB):
        turned = same.copy()
        turned[lead, lead] = -1
        yield (LEADS[lead],), turned
    for one, other in combinations(range(len(LEADS)), 2):
        if one < _LIMB:
            exchanged = same.copy()
            exchanged[[one, other]] = exchanged[[other, one]]
            yield (LEADS[one], LEADS[other]), exchanged


def inverted_chest_leads(correlation: NDArray[np.float64]) -> list[tuple[str, float]]:
    """Return chest leads V2 to V6 that run against their neighbours, with the smaller correlation.

    The neighbours of V2 to V5 agree with each other. V6 has one neighbour, and needs a clearer contradiction.
    """
    found = []
    for lead in range(_V1 + 1, _V6):
        before, after = correlation[lead, lead - 1], correlation[lead, lead + 1]
        if max(before, after) < _AGAINST_BOTH and correlation[lead - 1, lead + 1] > 0:
            found.append((LEADS[lead], float(min(before, after))))
    last = float(correlation[_V6, _V6 - 1])
    return [*found, (LEADS[_V6], last)] if last < _V6_AGAINST and not found else found
