"""Sections and blocks of the report, which ``templates`` lays out as HTML."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stence.database import queries
from stence.monitoring.report.answers import Answer
from stence.monitoring.report.tables import Cell, Shown
from stence.page import templates

TEMPLATES = Path(__file__).with_name("templates")
VIEW = re.compile(r"^FROM (\w+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """One query's answer: a table with its SQL. With a ``title``, the block also has charts (SVG).

    ``nothing`` replaces a table without rows. ``legend`` names a macro of ``legends.html.j2``. ``is_folded``:
    the table is hidden until the reader unfolds it, because the charts show the same values.
    """

    answer: Answer
    columns: Sequence[Shown]
    nothing: str = "Nothing."
    title: str = ""
    charts: Sequence[str] = ()
    legend: str = ""
    is_folded: bool = False

    @property
    def script(self) -> str:
        """The SQL of the query."""
        return queries.script(self.answer.query)

    @property
    def question(self) -> str:
        """The question that the query answers: the first comment line of the SQL."""
        return self.script.partition("\n")[0].removeprefix("--").strip()

    @property
    def view(self) -> str:
        """The view that the query reads."""
        return VIEW.findall(self.script)[0]

    @property
    def command(self) -> str:
        """The command line that runs the query."""
        params = "".join(f" --param {name}={value}" for name, value in self.answer.params.items())
        return f"stence query {self.answer.query}{params}"

    @property
    def params(self) -> str:
        """The query's parameters as JSON."""
        return json.dumps(dict(self.answer.params))

    @property
    def rows(self) -> Iterator[list[Cell]]:
        """The table's cells, row by row."""
        for row in self.answer.records():
            yield [column.cell(row) for column in self.columns]


@dataclass(frozen=True, slots=True)
class Headline:
    """A sentence at the top of the page; ``look`` is the style."""

    look: str
    words: str


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the page. ``name`` is its link target, ``about`` its first paragraph."""

    name: str
    title: str
    about: str
    blocks: Sequence[Block]
    headlines: Sequence[Headline] = ()


def render(template: str, **values: object) -> str:
    """Render a template of this report."""
    return templates(TEMPLATES).get_template(template).render(values)
