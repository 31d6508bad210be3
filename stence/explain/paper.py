"""An ECG on paper: 25 mm/s, 10 mm/mV, four columns of three leads above a rhythm strip of lead II.

Units are 1/100 mm, so that coordinates are short whole numbers. Printed at 100 %, the scale is true.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from stence.ecg import LEADS, Recording
from stence.ecg.compiled import compiled
from stence.ecg.delineation import Interval, Part
from stence.page import templates

TEMPLATES = Path(__file__).with_name("templates")
SPEED, GAIN = 25, 10
"""mm/s and mm/mV."""
COLUMNS = (("I", "II", "III"), ("aVR", "aVL", "aVF"), ("V1", "V2", "V3"), ("V4", "V5", "V6"))
RHYTHM = "II"
SECONDS = 10.0
"""Length of the rhythm strip. Of a longer recording the first seconds are drawn."""
COLUMN_SECONDS = SECONDS / len(COLUMNS)
MARGIN, PULSE = 200, 700
"""Width of the paper's margins, and of the calibration pulse with its surroundings."""
WIDTH, HEIGHT = 2 * MARGIN + PULSE + round(SECONDS * SPEED * 100), 14_000
ROW_HEIGHT, TOP = 3200, 2400
"""Distance of the rows' zero lines, and height of the first one."""
TOLERANCE = 3
"""Distance of the drawn from the recorded line: peaks are right to within 0.03 mm, or 3 microvolts."""


class Mark(NamedTuple):
    """A part of the beat in one lead that the model looked at."""

    lead: str
    part: Part


@dataclass(frozen=True, slots=True)
class Trace:
    """A lead on the paper: its name at ``x``, ``y``, and the line as an SVG path."""

    lead: str
    x: int
    y: int
    path: str


class Shade(NamedTuple):
    """A shaded piece of a lead: ``x``, ``y``, ``width`` and ``height``."""

    x: int
    y: int
    width: int
    height: int


class _Place(NamedTuple):
    """A lead's place: ``start`` to ``end`` in seconds of the recording, drawn from ``x`` on around ``y``."""

    lead: str
    start: float
    end: float
    x: int
    y: int


def draw(
    recording: Recording,
    beats: Sequence[Interval] = (),
    marks: Iterable[Mark] = (),
    read: Sequence[tuple[float, float]] = (),
) -> Markup:
    """Return the ECG as an SVG element, true to scale.

    Invalid samples are gaps. Each lead is centred on its median, no filter is applied. The ``marks`` are
    shaded in the ``beats`` within ``read``, seconds from start to end of the windows that the model reads,
    which are underlined.

    >>> flat = Recording(np.zeros((12, 5000), np.float32), sampling_rate=500)
    >>> draw(flat).startswith("<svg")
    True
    """
    places = _places(recording.seconds)
    svg = (
        templates(TEMPLATES)
        .get_template("paper.svg.j2")
        .render(
            width=WIDTH,
            height=HEIGHT,
            traces=[_trace(recording, place) for place in places],
            shades=[shade for place in places for shade in _shades(place, beats, set(marks), read)],
            reads=[
                (_x(places[-1], start), _x(places[-1], min(end, SECONDS)))
                for start, end in read
                if start < SECONDS
            ],
            pulse=[TOP + ROW_HEIGHT * row for row in range(len(COLUMNS[0]) + 1)],
            fine=_grid(100),
            bold=_grid(500),
            scale=_scale(recording),
        )
    )
    return Markup(svg)  # noqa: S704 - the template escapes every value


def _places(seconds: float) -> list[_Place]:
    """Return the places of the 12 leads and the rhythm strip. Columns follow each other in time.

    Columns of a recording without 10 s are simultaneous: all show its start.
    """
    left = MARGIN + PULSE
    places = []
    for column, leads in enumerate(COLUMNS):
        start = column * COLUMN_SECONDS if seconds >= SECONDS else 0.0
        x = left + round(column * COLUMN_SECONDS * SPEED * 100)
        places += [
            _Place(lead, start, start + COLUMN_SECONDS, x, TOP + ROW_HEIGHT * row)
            for row, lead in enumerate(leads)
        ]
    return [*places, _Place(RHYTHM, 0.0, SECONDS, left, TOP + ROW_HEIGHT * len(COLUMNS[0]))]


def _trace(recording: Recording, place: _Place) -> Trace:
    rate = recording.sampling_rate
    samples = recording.signal[LEADS.index(place.lead)].astype(np.float64)
    known = samples[np.isfinite(samples)]
    centre = float(np.median(known)) if len(known) else 0.0
    first, last = round(place.start * rate), min(round(place.end * rate) + 1, len(samples))
    piece = samples[first:last] - centre
    x = (
        place.x
        + np.arange(first - place.start * rate, first - place.start * rate + len(piece)) / rate * SPEED * 100
    )
    y = place.y - piece * GAIN * 100
    return Trace(place.lead, place.x, place.y, _path(x, y))


def _path(x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    """Return the line through the finite points, with fewer points where it is straight."""
    known = np.flatnonzero(np.isfinite(y))
    runs = np.split(known, np.flatnonzero(np.diff(known) > 1) + 1)
    return "".join(_line(np.column_stack([x[run], y[run]])) for run in runs if len(run) > 1)


def _line(points: NDArray[np.float64]) -> str:
    kept = points[_needed(points, TOLERANCE)].round().astype(int)
    steps = (f"{x} {y}" for x, y in np.diff(kept, axis=0))
    return f"M{kept[0, 0]} {kept[0, 1]}l{' '.join(steps)}"


@compiled
def _needed(points: NDArray[np.float64], tolerance: float) -> NDArray[np.bool_]:
    """Return which points (n, 2) a line needs to come near all others (Douglas and Peucker 1973)."""
    needed = np.zeros(len(points), dtype=np.bool_)
    needed[0] = needed[-1] = True
    pending = [(0, len(points) - 1)]
    while pending:
        first, last = pending.pop()
        along_x, along_y = points[last, 0] - points[first, 0], points[last, 1] - points[first, 1]
        farthest, at = tolerance * math.hypot(along_x, along_y), -1
        for i in range(first + 1, last):
            off = abs(
                along_x * (points[i, 1] - points[first, 1]) - along_y * (points[i, 0] - points[first, 0])
            )
            if off > farthest:
                farthest, at = off, i
        if at >= 0:
            needed[at] = True
            pending.append((first, at))
            pending.append((at, last))
    return needed


def _shades(
    place: _Place, beats: Sequence[Interval], marks: set[Mark], read: Sequence[tuple[float, float]]
) -> Iterable[Shade]:
    for part, start, end in beats:
        if Mark(place.lead, part) not in marks:
            continue
        for opened, closed in read:
            first, last = max(start, opened, place.start), min(end, closed, place.end)
            if last > first:
                x = _x(place, first)
                yield Shade(x, place.y - ROW_HEIGHT // 2 + 300, _x(place, last) - x, ROW_HEIGHT - 600)


def _x(place: _Place, second: float) -> int:
    return place.x + round((second - place.start) * SPEED * 100)


def _grid(step: int) -> str:
    columns = "".join(f"M{x} 0v{HEIGHT}" for x in range(0, WIDTH + 1, step))
    return columns + "".join(f"M0 {y}h{WIDTH}" for y in range(0, HEIGHT + 1, step))


def _scale(recording: Recording) -> str:
    """Return the line below the traces: scale, filters, and what is drawn of the recording."""
    shown = (
        f"first {SECONDS:g} s of {recording.seconds:.1f} s"
        if recording.seconds > SECONDS + 0.05
        else f"{recording.seconds:.1f} s" + ("" if recording.seconds >= SECONDS else ", leads simultaneous")
    )
    return (
        f"{SPEED} mm/s   {GAIN} mm/mV   no filter, each lead centred on its median   "
        f"{recording.sampling_rate:g} Hz   {shown}"
    )
