"""Trace lines step by step to find narrowings, gaps and ends.

A walk starts from every crest of a line in both directions. It turns with the line, and goes straight on
where the line is lost for a few pixels, as in a tight stenosis. Narrowings, gaps and ends are noted for the
cell of the frame where they occur.
"""

from __future__ import annotations

import math
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from stence.ecg.compiled import compiled

STEPS = 20
"""Length of a walk in pixels."""
RUN = 6
"""Pixels over which a line must be present before and behind a narrowing."""
CREST = 0.33
"""Minimum strength where a walk starts."""
FAINT = 0.15
"""Strength below which the line is lost."""
LOST_STEPS = 8
"""Maximum number of consecutive lost steps; then a walk ends."""
ENDED_STEPS = 8
"""Pixels after which a line that has not returned has ended."""
ENDED = 0.6
"""Share of the calibre below which a line has ended."""
ALIKE = 1.5
"""Maximum ratio of calibres of two pieces of one artery."""
STRAIGHT = 0.9
STRAIGHT_OVERALL = 0.93
"""Minimum cosines, across a gap, of the angles from the line before to the line behind and the way there."""
FLOOR, HALF = 0.12, 0.3
"""Calibre is 0 up to FLOOR, and half its maximum at a strength of FLOOR + HALF."""
MARGIN = 6
GROUPS = 4


class Note(IntEnum):
    """Columns of a cell's notes; ranges of GROUPS columns are by the line's orientation."""

    NARROWED = 0
    NARROWED_MOST = 4
    NARROWED_SQUARES = 5
    BROKEN = 6
    BROKEN_MOST = 10
    ENDED = 11
    CRESTS = 15
    CALIBRE_SUM = 16
    CALIBRE_MOST = 17
    CALIBRE_LEAST = 18
    CRESTS_BY_ORIENTATION = 19


NOTES = Note.CRESTS_BY_ORIENTATION + GROUPS


@compiled
def trace(
    strength: NDArray[np.float32],
    orientation: NDArray[np.int64],
    directions: NDArray[np.float64],
    cell: int,
) -> NDArray[np.float64]:
    """Trace the lines of a frame (see ``Lines``) into notes (rows / cell, columns / cell, NOTES).

    Depths of narrowings, gaps and ends are differences of calibre, 0 without any.
    """
    rows, columns = strength.shape
    notes = np.zeros((rows // cell, columns // cell, NOTES))
    path = np.empty((STEPS + 1, 4))
    for row in range(MARGIN, rows - MARGIN):
        for column in range(MARGIN, columns - MARGIN):
            if not _is_crest(strength, orientation, directions, row, column):
                continue
            group = orientation[row, column] * GROUPS // (len(directions) // 2)
            _note_crest(notes[row // cell, column // cell], group, calibre(strength[row, column]))
            for heading in (orientation[row, column], orientation[row, column] + len(directions) // 2):
                steps = _walk(strength, directions, row, column, heading, path)
                _note_walk(notes, cell, group, orientation, directions, path[: steps + 1])
    return notes


@compiled
def calibre(strength: float) -> float:
    """Map a line's strength to a calibre of 0 to 1, with saturation."""
    above = max(strength - FLOOR, 0.0)
    return above / (above + HALF)


@compiled
def _is_crest(
    strength: NDArray[np.float32],
    orientation: NDArray[np.int64],
    directions: NDArray[np.float64],
    row: int,
    column: int,
) -> bool:
    """True if the line is strong here, and stronger than on both sides."""
    here = strength[row, column]
    if here < CREST:
        return False
    across, down = _aside(directions, orientation[row, column])
    return here >= strength[row + down, column + across] and here > strength[row - down, column - across]


@compiled
def _aside(directions: NDArray[np.float64], heading: int) -> tuple[int, int]:
    """Return columns and rows of a step perpendicular to a heading."""
    normal = directions[(heading + len(directions) // 4) % len(directions)]
    return round(normal[0]), round(normal[1])


@compiled
def _walk(
    strength: NDArray[np.float32],
    directions: NDArray[np.float64],
    row: int,
    column: int,
    heading: int,
    path: NDArray[np.float64],
) -> int:
    """Fill ``path`` with column, row, strength and heading of each pixel. Return the number of steps.

    The path begins with the minimum strength over the RUN of pixels behind; there is no step if that is weak.
    """
    behind = _weakest_behind(strength, directions, row, column, heading)
    if behind < CREST:
        return 0
    _write(path[0], column, row, behind, heading)
    x, y, lost = float(column), float(row), 0
    for step in range(1, STEPS + 1):
        heading = _turned(strength, directions, x, y, heading)
        x, y, found = _stepped(strength, directions, x, y, heading)
        lost = lost + 1 if found < FAINT else 0
        if found < 0 or lost > LOST_STEPS:
            return step - 1
        _write(path[step], round(x), round(y), found, heading)
    return STEPS


@compiled
def _write(point: NDArray[np.float64], column: float, row: float, strength: float, heading: int) -> None:
    point[0], point[1], point[2], point[3] = column, row, strength, heading


@compiled
def _weakest_behind(
    strength: NDArray[np.float32], directions: NDArray[np.float64], row: int, column: int, heading: int
) -> float:
    across, down = _aside(directions, heading)
    weakest = strength[row, column]
    for step in range(1, RUN):
        x = round(column - step * directions[heading, 0])
        y = round(row - step * directions[heading, 1])
        sides = max(strength[y + down, x + across], strength[y - down, x - across])
        weakest = min(weakest, max(strength[y, x], sides))
    return weakest


@compiled
def _turned(
    strength: NDArray[np.float32], directions: NDArray[np.float64], x: float, y: float, heading: int
) -> int:
    """Return the heading, or a neighbouring heading if the line is clearly stronger two pixels ahead."""
    best, strongest = heading, np.float32(-1)
    for turn in (0, -1, 1):
        tried = (heading + turn) % len(directions)
        ahead = strength[round(y + 2 * directions[tried, 1]), round(x + 2 * directions[tried, 0])]
        if turn == 0 or ahead > 1.1 * strongest:
            best, strongest = tried, ahead
    return best if strongest > FAINT else heading


@compiled
def _stepped(
    strength: NDArray[np.float32], directions: NDArray[np.float64], x: float, y: float, heading: int
) -> tuple[float, float, float]:
    """Take one step, moved to the line's middle. Return x, y and strength; -1 at the frame's border."""
    x, y = x + directions[heading, 0], y + directions[heading, 1]
    column, row = round(x), round(y)
    if min(column, row) < 3 or column >= strength.shape[1] - 3 or row >= strength.shape[0] - 3:
        return x, y, -1.0
    across, down = _aside(directions, heading)
    here = strength[row, column]
    one, other = strength[row + down, column + across], strength[row - down, column - across]
    if max(one, other) <= here:
        return x, y, here
    side = 0.7 if one >= other else -0.7
    return x + side * across, y + side * down, max(one, other)


@compiled
def _note_crest(cell: NDArray[np.float64], group: int, width: float) -> None:
    first = cell[Note.CRESTS] == 0
    cell[Note.CRESTS] += 1
    cell[Note.CRESTS_BY_ORIENTATION + group] += 1
    cell[Note.CALIBRE_SUM] += width
    cell[Note.CALIBRE_MOST] = max(cell[Note.CALIBRE_MOST], width)
    cell[Note.CALIBRE_LEAST] = width if first else min(cell[Note.CALIBRE_LEAST], width)


@compiled
def _note_walk(
    notes: NDArray[np.float64],
    cell: int,
    group: int,
    orientation: NDArray[np.int64],
    directions: NDArray[np.float64],
    path: NDArray[np.float64],
) -> None:
    depth, place, gap = _narrowing(orientation, directions, path)
    if depth > 0:
        there = notes[int(path[place, 1]) // cell, int(path[place, 0]) // cell]
        if gap > 1:
            there[Note.BROKEN + group] = max(there[Note.BROKEN + group], depth)
            there[Note.BROKEN_MOST] = max(there[Note.BROKEN_MOST], depth)
        else:
            there[Note.NARROWED + group] = max(there[Note.NARROWED + group], depth)
            there[Note.NARROWED_MOST] = max(there[Note.NARROWED_MOST], depth)
            there[Note.NARROWED_SQUARES] += depth * depth
    depth, place = _end(path)
    if depth > 0:
        there = notes[int(path[place, 1]) // cell, int(path[place, 0]) // cell]
        there[Note.ENDED + group] = max(there[Note.ENDED + group], depth)


@compiled
def _narrowing(
    orientation: NDArray[np.int64], directions: NDArray[np.float64], path: NDArray[np.float64]
) -> tuple[float, int, int]:
    """Find the deepest narrowing of a walk: depth, position on the path, and length of the gap."""
    start = before = lowest = calibre(path[0, 2])
    place, lost, gap = 0, 0, 0
    deepest, deepest_place, deepest_gap = 0.0, 0, 0
    for step in range(1, len(path)):
        here = calibre(path[step, 2])
        lost = lost + 1 if path[step, 2] < FAINT else 0
        gap = max(gap, lost)
        if max(here, before) < lowest:  # one faint pixel is not a narrowing
            lowest, place = max(here, before), step
        before = here
        if place == 0 or step - place < RUN or not _on_line(orientation, directions, path[step]):
            continue
        behind = _least_calibre(path, step)
        depth = min(start, behind) - lowest
        alike = max(start, behind) <= ALIKE * min(start, behind)
        if depth > deepest and alike and (gap <= 1 or _is_straight(directions, path, step)):
            deepest, deepest_place, deepest_gap = depth, place, gap
    return deepest, deepest_place, deepest_gap


@compiled
def _on_line(
    orientation: NDArray[np.int64], directions: NDArray[np.float64], point: NDArray[np.float64]
) -> bool:
    """True if the line here has the direction of the walk."""
    half = len(directions) // 2
    off = (orientation[int(point[1]), int(point[0])] - int(point[3])) % half
    return off <= 1 or off >= half - 1


@compiled
def _least_calibre(path: NDArray[np.float64], step: int) -> float:
    """Return the minimum calibre over the RUN of pixels that ends at ``step``."""
    weakest = path[step, 2]
    for earlier in range(step - RUN + 1, step):
        weakest = min(weakest, path[earlier, 2])
    return calibre(weakest)


@compiled
def _is_straight(directions: NDArray[np.float64], path: NDArray[np.float64], step: int) -> bool:
    """True if the last RUN of pixels continues the path's first direction, and lies in that direction."""
    first = directions[int(path[0, 3])]
    run, way = path[step, :2] - path[step - RUN + 1, :2], path[step, :2] - path[0, :2]
    return bool(
        (run * first).sum() >= STRAIGHT * math.hypot(run[0], run[1])
        and (way * first).sum() >= STRAIGHT_OVERALL * math.hypot(way[0], way[1])
    )


@compiled
def _end(path: NDArray[np.float64]) -> tuple[float, int]:
    """Return the calibre that a line loses without return, and the position on the path; 0 without an end."""
    start = calibre(path[0, 2])
    later = 0.0
    for step in range(ENDED_STEPS, len(path)):
        later = max(later, calibre(path[step, 2]))
    if len(path) <= ENDED_STEPS or later >= ENDED * start:
        return 0.0, 0
    place = 1
    while calibre(path[place, 2]) >= ENDED * start:
        place += 1
    return start - later, place
