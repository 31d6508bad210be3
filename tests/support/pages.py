"""Reading the report as a person's eye does: its tables, and the text around them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "circle", "line", "rect", "polyline", "polygon"}


@dataclass
class Cell:
    """What a cell shows, and the values of its numbers with what is written for each."""

    text: str = ""
    numbers: list[tuple[str, str]] = field(default_factory=list)
    before: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Table:
    """A table with the query it names, the query's columns under each head, and its rows."""

    query: str
    params: dict[str, str]
    columns: list[list[str]] = field(default_factory=list)
    rows: list[list[Cell]] = field(default_factory=list)


class Page(HTMLParser):
    """``tables`` in their order, and the ``words`` that stand in no table, chart, code or ``<time>``."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tables: list[Table] = []
        self.words = ""
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[tuple[str, dict[str, str | None]]] = []
        self.feed(content)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag in VOID:
            return
        self._open.append((tag, found))
        if tag == "table":
            self.tables.append(Table(found["data-query"] or "", json.loads(found["data-params"] or "")))
        elif tag == "th":
            self.tables[-1].columns.append((found["data-columns"] or "").split())
        elif tag == "tr":
            self.tables[-1].rows.append([])
        elif tag == "td":
            self.tables[-1].rows[-1].append(Cell())
        elif tag == "data":
            cell = self.tables[-1].rows[-1][-1]
            (cell.before if found.get("class") else cell.numbers).append((found["value"] or "", ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        closed, _ = self._open.pop()
        assert closed == tag, f"<{closed}> is closed by </{tag}>"

    def handle_data(self, data: str) -> None:
        inside = [tag for tag, _ in self._open]
        if "td" in inside:
            cell = self.tables[-1].rows[-1][-1]
            cell.text += data
            if inside[-1] == "data":
                numbers = cell.before if self._open[-1][1].get("class") else cell.numbers
                numbers[-1] = (numbers[-1][0], numbers[-1][1] + data)
        elif not {"table", "figure", "code", "style", "time", "title"} & set(inside):
            self.words += data
