"""Places whose ECGs can be compared with the reference: small ones are pooled, unknown ones left out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MIN_COUNT = 30
"""Minimum number of ECGs on either side of a comparison."""
SMALL, LEFT_OUT = "\0small", "\0left out"
"""Labels of places with fewer than ``MIN_COUNT`` ECGs in the reference: pooled, or not compared."""


def pooled(
    reference: NDArray[np.str_], ecgs: NDArray[np.int64], places: NDArray[np.str_]
) -> NDArray[np.str_]:
    r"""Label of each of ``places`` (m): its name, ``SMALL`` or ``LEFT_OUT``.

    ``reference`` (n) are places of the reference with their ``ecgs`` (n). A place with at least ``MIN_COUNT``
    ECGs there stands for itself. Smaller places are pooled; they are left out if even together they have
    fewer than ``MIN_COUNT``. Places that the reference lacks are always left out: an alert of its own reports
    them.

    >>> pooled(np.array(["A", "C"]), np.array([400, 3]), np.array(["A", "C", "new"])).tolist()
    ['A', '\x00left out', '\x00left out']
    """
    names, where = np.unique(reference, return_inverse=True)
    counts = np.bincount(where, weights=ecgs, minlength=len(names))
    small = counts < MIN_COUNT
    pool = SMALL if counts[small].sum() >= MIN_COUNT else LEFT_OUT
    labels = {name: pool if is_small else name for name, is_small in zip(names.tolist(), small, strict=True)}
    return np.array([labels.get(place, LEFT_OUT) for place in places.tolist()], dtype=str)


def kept(reference: NDArray[np.str_], window: NDArray[np.str_]) -> dict[str, int]:
    """How many ECGs of the reference to take of each label but ``LEFT_OUT``, for the window's shares.

    The scarcest label sets the number of all. Labels so scarce that the comparison says more without them are
    left out: those that make the harmonic mean of the two sample sizes smaller.
    """
    labels = [label for label in dict.fromkeys(window.tolist()) if label != LEFT_OUT]
    ours = np.array([(reference == label).sum() for label in labels], dtype=np.int64)
    theirs = np.array([(window == label).sum() for label in labels], dtype=np.int64)
    order = np.argsort(ours / np.maximum(theirs, 1), kind="stable")
    best, most = order[:0], 0.0
    for first in range(len(order)):
        among = order[first:]
        factor, now = ours[among[0]] / theirs[among[0]], theirs[among].sum()
        power = factor * now / (1 + factor)  # 1 / (1 / (factor * now) + 1 / now)
        if power > most:
            best, most = among, power
    factor = ours[best[0]] / theirs[best[0]] if len(best) else 0.0
    return {labels[n]: int(factor * theirs[n] + 1e-9) for n in best}
