"""Charts as SVG inside the page: they reflow on a phone, stay sharp in print, and need no script.

A chart draws values without writing them: the table beside the chart holds the numbers. ``None`` is a gap.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

WIDTH, HEIGHT = 280, 130
LEFT, RIGHT, TOP, BOTTOM = 38, 8, 6, 18
"""Margins around the plot, for the labels of the axes."""
Values = Sequence[float | None]
Interval = tuple[float | None, float | None, float | None]


@dataclass(frozen=True, slots=True)
class Line:
    """One value per day; ``look``: style (model, other or reference); ``low`` and ``high``: interval."""

    values: Values
    look: str = "model"
    low: Values = ()
    high: Values = ()


@dataclass(frozen=True, slots=True)
class Frame:
    """The plot area: x from ``left`` to ``right``, y from 0 to ``top``, in units of the data."""

    left: float
    right: float
    top: float

    def x(self, value: float) -> float:
        """Distance of a value from the left edge."""
        return LEFT + (value - self.left) / ((self.right - self.left) or 1) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Distance of a value from the upper edge."""
        return HEIGHT - BOTTOM - min(value / self.top, 1.05) * (HEIGHT - TOP - BOTTOM)

    def path(self, points: Iterable[tuple[float, float]]) -> str:
        """The points in SVG's notation."""
        return " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)


def trend(
    title: str, days: Sequence[date], lines: Sequence[Line], top: float, marked: Sequence[bool] = ()
) -> str:
    """Lines over days (n,), on a scale from 0 to ``top``; the first has a dot on ``marked`` days (n,)."""
    every = [days[0] + timedelta(days=n) for n in range((days[-1] - days[0]).days + 1)]
    frame = Frame(0, max(len(every) - 1, 1), top)
    place = {day: number for number, day in enumerate(every)}
    at = [place[day] for day in days]
    drawn = [_band(frame, at, line) for line in lines] + [_line(frame, at, line) for line in lines]
    drawn += [
        f'<circle class="mark" cx="{frame.x(x):.1f}" cy="{frame.y(value):.1f}" r="3.5"/>'
        for x, value, is_marked in zip(at, lines[0].values, marked, strict=False)
        if is_marked and value is not None
    ]
    ends = [(0.0, f"{days[0]:%d %b}", "start"), (frame.right, f"{days[-1]:%d %b}", "end")]
    return figure(title, _axes(frame, ends) + "".join(drawn), "by day")


def bars(title: str, days: Sequence[date], values: Values, first: date, last: date, top: float) -> str:
    """One bar per day from ``first`` to ``last``."""
    span = (last - first).days
    frame = Frame(-0.5, span + 0.5, top)
    width = max((frame.x(1) - frame.x(0)) * 0.8, 0.8)
    drawn = "".join(
        f'<rect class="bar" x="{frame.x((day - first).days) - width / 2:.1f}" y="{frame.y(value):.1f}" '
        f'width="{width:.1f}" height="{frame.y(0) - frame.y(value):.1f}"/>'
        for day, value in zip(days, values, strict=True)
        if value is not None
    )
    ends = [(frame.left, f"{first:%d %b}", "start"), (frame.right, f"{last:%d %b}", "end")]
    return figure(title, _axes(frame, ends) + drawn, "by day")


def histogram(title: str, now: Sequence[float], before: Sequence[float]) -> str:
    """Shares by bin (n,): the present as bars, the past as a stepped line."""
    top = nice(max([*now, *before, 0.0]))
    frame = Frame(0, len(now), top)
    width = frame.x(1) - frame.x(0)
    drawn = "".join(
        f'<rect class="bar" x="{frame.x(n) + 0.5:.1f}" y="{frame.y(value):.1f}" width="{width - 1:.1f}" '
        f'height="{frame.y(0) - frame.y(value):.1f}"/>'
        for n, value in enumerate(now)
    )
    steps = [point for n, value in enumerate(before) for point in ((n, value), (n + 1, value))]
    drawn += f'<polyline class="line other" points="{frame.path(steps)}"/>'
    ends = [(0.0, "0", "start"), (float(len(now)), "1", "end")]
    return figure(title, _axes(frame, ends) + drawn, "bars now, line before; by probability")


def calibration(title: str, points: Sequence[tuple[float | None, Interval]], look: str) -> str:
    """Observed share with its interval over the predicted probability; both agree on the dotted line."""
    frame = Frame(0, 1, 1)
    drawn = f'<polyline class="line reference" points="{frame.path([(0, 0), (1, 1)])}"/>'
    known = [(x, y) for x, y in points if x is not None and y[0] is not None]
    for x, (value, low, high) in known:
        drawn += _whisker(frame, x, low, high, look)
        drawn += f'<circle class="dot {look}" cx="{frame.x(x):.1f}" cy="{frame.y(value or 0):.1f}" r="3"/>'
    drawn += f'<polyline class="line {look}" points="{frame.path((x, y[0] or 0) for x, y in known)}"/>'
    ends = [(0.0, "0", "start"), (1.0, "1", "end")]
    return figure(title, _axes(frame, ends) + drawn, "observed share by predicted probability")


def intervals(title: str, rows: Sequence[tuple[str, Sequence[tuple[Interval, str]]]]) -> str:
    """Values between 0 and 1 with their intervals: one row per name, with one mark for each style."""
    room, height = 128, 18 * len(rows) + 22
    across = WIDTH - room - RIGHT

    def x(value: float) -> float:
        return room + min(max(value, 0), 1) * across

    drawn = "".join(
        f'<line class="grid" x1="{x(at):.1f}" x2="{x(at):.1f}" y1="4" y2="{height - 16}"/>'
        f'<text x="{x(at):.1f}" y="{height - 4}" text-anchor="middle">{at:g}</text>'
        for at in (0, 0.5, 1)
    )
    for number, (name, marks) in enumerate(rows):
        middle = 14 + 18 * number
        drawn += f'<text x="0" y="{middle + 3}">{html.escape(_shortened(name))}</text>'
        for place, ((value, low, high), look) in enumerate(marks):
            y = middle + (place - (len(marks) - 1) / 2) * 6
            if value is not None and low is not None and high is not None:
                drawn += (
                    f'<line class="line {look}" x1="{x(low):.1f}" x2="{x(high):.1f}" '
                    f'y1="{y:.1f}" y2="{y:.1f}"/>'
                    f'<circle class="dot {look}" cx="{x(value):.1f}" cy="{y:.1f}" r="3"/>'
                )
    return figure(title, drawn, "with intervals", height)


def figure(title: str, drawn: str, by: str, height: int = HEIGHT) -> str:
    """A chart with its heading. Its label for screen readers refers to the table."""
    label = html.escape(f"Chart of {title}, {by}; the table that follows holds the values.")
    return (
        f"<figure><figcaption>{html.escape(title)}</figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}">{drawn}</svg></figure>'
    )


def nice(value: float) -> float:
    """A round number at or above ``value``, as the end of a scale."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.5, 2, 3, 4, 5, 7.5, 10) if step * power >= value * 0.999)


def _axes(frame: Frame, ends: Sequence[tuple[float, str, str]]) -> str:
    lines = "".join(
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{frame.y(at):.1f}" y2="{frame.y(at):.1f}"/>'
        f'<text x="{LEFT - 4}" y="{frame.y(at) + 3:.1f}" text-anchor="end">{at:g}</text>'
        for at in (0, frame.top / 2, frame.top)
    )
    return lines + "".join(
        f'<text x="{frame.x(at):.1f}" y="{HEIGHT - 4}" text-anchor="{anchor}">{words}</text>'
        for at, words, anchor in ends
    )


def _line(frame: Frame, at: Sequence[int], line: Line) -> str:
    """A polyline for each piece between gaps; a dot for a single day."""
    pieces: list[list[tuple[float, float]]] = [[]]
    for x, value in zip(at, line.values, strict=True):
        if value is None or (pieces[-1] and x - pieces[-1][-1][0] > 1):
            pieces.append([])
        if value is not None:
            pieces[-1].append((x, value))
    return "".join(
        f'<polyline class="line {line.look}" points="{frame.path(piece)}"/>'
        if len(piece) > 1
        else f'<circle class="dot {line.look}" cx="{frame.x(piece[0][0]):.1f}" '
        f'cy="{frame.y(piece[0][1]):.1f}" r="1.5"/>'
        for piece in pieces
        if piece
    )


def _band(frame: Frame, at: Sequence[int], line: Line) -> str:
    """The interval as an area."""
    known = [
        (x, low, high)
        for x, low, high in zip(at, line.low, line.high, strict=False)
        if low is not None and high is not None
    ]
    if not known:
        return ""
    upper, lower = [(x, high) for x, _, high in known], [(x, max(low, 0.0)) for x, low, _ in known]
    return f'<polygon class="band {line.look}" points="{frame.path([*upper, *reversed(lower)])}"/>'


def _whisker(frame: Frame, x: float, low: float | None, high: float | None, look: str) -> str:
    if low is None or high is None:
        return ""
    return (
        f'<line class="whisker {look}" x1="{frame.x(x):.1f}" x2="{frame.x(x):.1f}" '
        f'y1="{frame.y(max(low, 0)):.1f}" y2="{frame.y(high):.1f}"/>'
    )


def _shortened(name: str, longest: int = 24) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"
