"""Answers as HTML tables. Every number is a ``<data>`` element with its value, for who checks it."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, ClassVar, Protocol

from stence.database import queries
from stence.monitoring.report.answers import Answer

NOTHING = '<data value="">–</data>'
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
TEXT, PROSE, STATE = "text", "prose", "state"
LIGHTS = {
    "quiet": ("quiet", "● Quiet"),
    "look": ("look", "▲ Look"),
    "act": ("act", "■ Act"),
    "not measured": ("unknown", "○ Not measured"),
    "info": ("unknown", "○ Info"),
    "warning": ("look", "▲ Warning"),
    "critical": ("act", "■ Critical"),
}
"""Style and words of each light and severity: never told by colour alone."""


class Shown(Protocol):
    """A column of a table."""

    @property
    def title(self) -> str:
        """Its head."""

    @property
    def names(self) -> tuple[str, ...]:
        """The query's columns whose numbers it shows, in their order."""

    def cell(self, row: Row) -> str:
        """Its cell in a row, as HTML."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an answer: its head, the query's columns, and a kind of ``FORMATS`` or ``TEXT``,
    ``PROSE``, ``STATE``.

    Three names are a figure and its interval. The kind may stand in a column of the query: ``kind_from``.
    """

    title: str
    names: tuple[str, ...]
    kind: str = TEXT
    kind_from: str | None = None

    def cell(self, row: Row) -> str:
        """Its cell in a row, as HTML."""
        kind = row[self.kind_from] if self.kind_from else self.kind
        if kind == STATE:
            look, words = LIGHTS[row[self.names[0]]]
            return f'<td><span class="state {look}">{words}</span></td>'
        if kind in (TEXT, PROSE):
            return f'<td class="{kind}">{" ".join(word(row[name]) for name in self.names)}</td>'
        first, *ends = (number(row[name], kind) for name in self.names)
        if not ends:
            return f'<td class="number">{first}</td>'
        known = row[self.names[1]] is not None
        span = f"<small>({' to '.join(ends)})</small>" if known else f"<small hidden>{''.join(ends)}</small>"
        return f'<td class="number">{first} {span}</td>'


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the figures of ``key_figures`` were in the last report, by title, and which way they went."""

    figures: Mapping[str, float]
    title: ClassVar[str] = "Last report"
    names: ClassVar[tuple[str, ...]] = ()

    def cell(self, row: Row) -> str:
        """Its cell in a row, as HTML."""
        before = self.figures.get(row["title"])
        if before is None:
            return '<td class="number">–</td>'
        went = "▲ from" if row["value"] > before else "▼ from" if row["value"] < before else "as"
        was = f'<data class="before" value="{before:.6g}">{FORMATS[row["unit"]](before)}</data>'
        return f'<td class="number">{went} {was}</td>'


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
    """A column of figures with their intervals."""
    return Column(title, (name, f"{name}_lower", f"{name}_upper"), kind)


def table(answer: Answer, columns: Sequence[Shown]) -> str:
    """The rows, one below the other."""
    heads = "".join(
        f'<th scope="col"{_side(column)} data-columns="{" ".join(column.names)}">'
        f"{html.escape(column.title)}</th>"
        for column in columns
    )
    rows = "\n".join(
        f"<tr>{''.join(column.cell(row) for column in columns)}</tr>" for row in answer.records()
    )
    params = html.escape(json.dumps(dict(answer.params)))
    about = html.escape(question(answer))
    return (
        f'<table data-query="{answer.query}" data-params="{params}"><caption>{about}</caption>\n'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}\n</tbody></table>"
    )


def _side(column: Shown) -> str:
    words = isinstance(column, Column) and column.kind in (TEXT, PROSE, STATE) and not column.kind_from
    return "" if words else ' class="number"'


def source(answer: Answer) -> str:
    """How to get the same from SQL."""
    params = "".join(f" --param {name}={value}" for name, value in answer.params.items())
    return (
        f'<p class="source"><code>stence query {answer.query}{html.escape(params)}</code></p>\n'
        f"<pre><code>{html.escape(queries.script(answer.query))}</code></pre>"
    )


def question(answer: Answer) -> str:
    """What the query answers, in words."""
    return queries.script(answer.query).partition("\n")[0].removeprefix("--").strip()


def number(value: float | None, kind: str) -> str:
    """A number as people read it, with its value for machines."""
    if value is None:
        return NOTHING
    written = html.escape(FORMATS[kind](float(value)))
    return f'<data value="{float(value):.6g}">{written}</data>'


def word(value: object) -> str:
    """A value that is no measure: text, a time, a number that is a name."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f'<time datetime="{value.isoformat()}">{value:%Y-%m-%d %H:%M}</time>'
    if isinstance(value, date):
        return f'<time datetime="{value.isoformat()}">{value:%Y-%m-%d}</time>'
    if isinstance(value, bool):
        return "yes" if value else "no"
    return html.escape(str(value))
