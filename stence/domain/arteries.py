"""Coronary arteries by their segments, in words."""

from __future__ import annotations

from collections.abc import Iterable

ARTERIES = {
    "right coronary artery": range(1, 5),
    "left main": range(5, 6),
    "left anterior descending": range(6, 11),
    "left circumflex": range(11, 17),
}
"""Segments of each artery, in the numbering of the American Heart Association (Austen et al. 1975)."""


def artery_of(segment: int) -> str:
    """Return the artery of a segment, 1 to 16.

    >>> artery_of(5), artery_of(7)
    ('left main', 'left anterior descending')
    """
    return next(name for name, segments in ARTERIES.items() if segment in segments)


def narrowed_arteries(stenoses: Iterable[tuple[int, float]]) -> str:
    """Describe stenoses (segment, degree in percent) by artery, the narrowest first.

    >>> narrowed_arteries([(6, 60), (7, 90), (2, 75)])
    'left anterior descending 90 % (segments 7, 6), right coronary artery 75 % (segment 2)'
    """
    found: dict[str, list[tuple[float, int]]] = {}
    for segment, degree in sorted(stenoses, key=lambda stenosis: (-stenosis[1], stenosis[0])):
        found.setdefault(artery_of(segment), []).append((degree, segment))
    return ", ".join(
        f"{artery} {each[0][0]:.0f} % (segment{'s' * (len(each) > 1)} {', '.join(str(s) for _, s in each)})"
        for artery, each in found.items()
    )
