"""Terminal output: progress bars at a terminal, plain lines elsewhere, and tables.

Control sequences in data are removed, because they could control the terminal.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table

from stence.progress import Progress

SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """A Progress that draws bars at a terminal, and writes occasional lines elsewhere."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )  # fmt: skip
    with Bars(*columns, console=Console(stderr=True)) as bars:
        yield _Bars(bars)


class _Bars:
    """One bar per stage."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, Any] = {}

    def __call__(self, stage: str, done: int, total: int | None = None, note: str = "") -> None:
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=total, note=note)
        self._bars.update(self._tasks[stage], completed=done, total=total, note=note)


class _Lines:
    """A line when a stage starts or ends, and after a while without a line."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def __call__(self, stage: str, done: int, total: int | None = None, note: str = "") -> None:
        due = time.monotonic() - self._last.get(stage, -SECONDS_BETWEEN_LINES) >= SECONDS_BETWEEN_LINES
        if due or done == total:
            self._last[stage] = time.monotonic()
            of_total = f"/{total}" if total is not None else ""
            click.echo(f"{time.strftime('%H:%M:%S')} {stage}: {done}{of_total} {note}".rstrip(), err=True)


def shown(text: str) -> str:
    """``text`` in one line, without control, escape and formatting characters."""
    return "".join(
        character if character.isprintable() else " " if character.isspace() else "" for character in text
    )


def echo(text: str) -> None:
    """Print text that holds data, line by line."""
    click.echo("\n".join(map(shown, text.split("\n"))))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows as a table: numbers are aligned right, text has no control sequences."""
    table = Table(title=shown(title), title_justify="left")
    for number, column in enumerate(columns):
        numeric = any(isinstance(row[number], int | float) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(shown(_cell(value)) for value in row))
    width = None if sys.stdout.isatty() else 160
    Console(markup=False, highlight=False, width=width).print(table)


def print_filled(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows as a table without the columns that are empty in every row, and name these."""
    filled = (
        [place for place in range(len(columns)) if any(_cell(row[place]) for row in rows)] if rows else []
    )
    if not filled:
        print_table(title, columns, rows)
        return
    print_table(title, [columns[place] for place in filled], [[row[p] for p in filled] for row in rows])
    if empty := [name for place, name in enumerate(columns) if place not in filled]:
        click.echo(f"Empty in every row: {', '.join(empty)}")


def print_record(title: str, columns: Sequence[str], row: Sequence[Any]) -> None:
    """Print one row as lines of column and value, since many columns side by side cannot be read."""
    print_table(
        title, ("column", "value"), [(name, _cell(each)) for name, each in zip(columns, row, strict=True)]
    )


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if hasattr(value, "isoformat"):
        return str(value.isoformat(sep=" ", timespec="minutes")) if hasattr(value, "hour") else str(value)
    return str(value)
