"""Columns and cells of the report's tables: values, formatted for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, ClassVar, Protocol

Row = Mapping[str, Any]


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _figure(value: float) -> str:
    return f"{value:.3f}"


def _likelihood(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _hours(value: float) -> str:
    return f"{value:.1f} h"


def _rate(value: float) -> str:
    return f"{value:,.1f}"


def _days(value: float) -> str:
    return f"{value:.1f} d"


FORMATS: dict[str, Callable[[float], str]] = {
    "count": _count,
    "percent": _percent,
    "figure": _figure,
    "p": _likelihood,
    "hours": _hours,
    "days": _days,
    "rate": _rate,
}
TEXT, PROSE, STATE, NUMBER, BEFORE = "text", "prose", "state", "number", "before"
"""Kinds of cells."""
LIGHTS = {
    "quiet": ("quiet", "● Quiet"),
    "look": ("look", "▲ Look"),
    "act": ("act", "■ Act"),
    "not measured": ("unknown", "○ Not measured"),
    "info": ("unknown", "○ Info"),
    "warning": ("look", "▲ Warning"),
    "critical": ("act", "■ Critical"),
}
"""Style and words of each light and severity. Colour alone never tells the state."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number, formatted for people, with its exact value for programs; empty for NULL."""

    written: str
    value: str


@dataclass(frozen=True, slots=True)
class Word:
    """A text. ``time`` is set where the text is a date or a time, in ISO format."""

    text: str
    time: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """Contents of a table cell. The template ``table.html.j2`` chooses the markup by ``kind``.

    ``look`` is the style of a light, or the direction of a change. Three numbers are an estimate and the ends
    of its interval.
    """

    kind: str
    words: Sequence[Word] = ()
    numbers: Sequence[Number] = ()
    look: str = ""


class Shown(Protocol):
    """A column of a table."""

    @property
    def title(self) -> str:
        """The column's head."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of the query whose numbers this column shows, in their order."""

    @property
    def is_numeric(self) -> bool:
        """True if the column is aligned to the right."""

    def cell(self, row: Row) -> Cell:
        """The column's cell in a row."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: head, columns of the query, and a kind.

    The kind is a key of ``FORMATS``, or ``TEXT``, ``PROSE`` or ``STATE``. ``kind_from`` names a column of the
    query that holds the kind instead. Three names are an estimate and its interval.
    """

    title: str
    names: tuple[str, ...]
    kind: str = TEXT
    kind_from: str | None = None

    @property
    def is_numeric(self) -> bool:
        """True if the column is aligned to the right."""
        return self.kind not in (TEXT, PROSE, STATE) or bool(self.kind_from)

    def cell(self, row: Row) -> Cell:
        """The column's cell in a row."""
        kind = row[self.kind_from] if self.kind_from else self.kind
        if kind == STATE:
            look, words = LIGHTS[row[self.names[0]]]
            return Cell(STATE, [Word(words)], look=look)
        if kind in (TEXT, PROSE):
            return Cell(kind, [word(row[name]) for name in self.names])
        return Cell(NUMBER, numbers=[number(row[name], kind) for name in self.names])


@dataclass(frozen=True, slots=True)
class Remembered:
    """The values of ``key_figures`` in the last report, by title, and the direction of each change."""

    figures: Mapping[str, float]
    title: ClassVar[str] = "Last report"
    names: ClassVar[tuple[str, ...]] = ()
    is_numeric: ClassVar[bool] = True

    def cell(self, row: Row) -> Cell:
        """The column's cell in a row."""
        before = self.figures.get(row["title"])
        if before is None:
            return Cell(BEFORE)
        change = "rose" if row["value"] > before else "fell" if row["value"] < before else "unchanged"
        return Cell(BEFORE, numbers=[number(before, row["unit"])], look=change)


def text(title: str, *names: str) -> Column:
    """A column of words, or of times."""
    return Column(title, names)


def prose(title: str, name: str) -> Column:
    """A column of sentences."""
    return Column(title, (name,), PROSE)


def lit(title: str, name: str) -> Column:
    """A column of lights or severities."""
    return Column(title, (name,), STATE)


def plain(title: str, name: str, kind: str) -> Column:
    """A column of numbers."""
    return Column(title, (name,), kind)


def interval(title: str, name: str, kind: str = "figure") -> Column:
    """A column of estimates with their intervals."""
    return Column(title, (name, f"{name}_lower", f"{name}_upper"), kind)


def number(value: float | None, kind: str) -> Number:
    """A number in the format of its kind."""
    if value is None:
        return Number("–", "")
    return Number(FORMATS[kind](float(value)), f"{float(value):.6g}")


def word(value: object) -> Word:
    """A text, a time, or a number that serves as a name."""
    if value is None:
        return Word("")
    if isinstance(value, datetime):
        return Word(f"{value:%Y-%m-%d %H:%M}", value.isoformat())
    if isinstance(value, date):
        return Word(f"{value:%Y-%m-%d}", value.isoformat())
    if isinstance(value, bool):
        return Word("yes" if value else "no")
    return Word(str(value))
