"""The report's parts in HTML: sections, an answer as charts and table with its SQL, words with a colour."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from stence.database import queries
from stence.monitoring.report.answers import Answer
from stence.monitoring.report.tables import Shown, question, source, table

VIEW = re.compile(r"^FROM (\w+)", re.MULTILINE)


def section(name: str, title: str, about: str, *parts: str) -> str:
    """A section that can be linked to; ``about`` is one paragraph of text."""
    body = "\n".join(part for part in parts if part)
    return (
        f'<section id="{name}"><h2>{html.escape(title)}</h2>\n'
        f'<p class="soft">{html.escape(about)}</p>\n{body}</section>'
    )


def shown(answer: Answer, columns: Sequence[Shown], nothing: str = "Nothing.") -> str:
    """An answer as a table, with its SQL below; ``nothing`` where there are no rows."""
    if not answer.rows:
        return f"<p><b>{html.escape(question(answer))}</b> {html.escape(nothing)}</p>\n{_sql(answer)}"
    return f'<div class="table">{table(answer, columns)}</div>\n{_sql(answer)}'


def charted(
    title: str,
    answer: Answer,
    charts: Sequence[str],
    columns: Sequence[Shown],
    key: str = "",
    *,
    unfolded: bool = False,
) -> str:
    """An answer as charts, its table and SQL to unfold; ``key`` is HTML and says what is what.

    ``unfolded``: the table is open, for it says what the charts cannot.
    """
    head = f"<h3>{html.escape(title)}</h3>"
    if not answer.rows:
        return f"{head}\n<p>No figures yet.</p>\n{_sql(answer)}"
    legend = f'<p class="key">{key}</p>' if key else ""
    drawn = f'<div class="charts">{"".join(charts)}</div>'
    if unfolded:
        return f"{head}\n{legend}\n{drawn}\n{shown(answer, columns)}"
    figures = f'<div class="table">{table(answer, columns)}</div>\n{source(answer)}'
    return f"{head}\n{legend}\n{drawn}\n{_folded(answer, 'Figures and SQL', figures)}"


def contents(sections: Sequence[tuple[str, str]]) -> str:
    """Links to the sections, by name and title."""
    links = "".join(f'<a href="#{name}">{html.escape(title)}</a>' for name, title in sections)
    return f'<nav aria-label="Sections">{links}</nav>'


def _sql(answer: Answer) -> str:
    return _folded(answer, "SQL", source(answer))


def _folded(answer: Answer, what: str, content: str) -> str:
    view = VIEW.findall(queries.script(answer.query))[0]
    return f"<details><summary>{what}: view <code>{view}</code></summary>\n{content}</details>"
