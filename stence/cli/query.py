"""``stence query``: the ready queries of ``sql/queries``, with their parameters; also as CSV or Parquet."""

from __future__ import annotations

import csv
import sys
import uuid
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stence.cli.terminal import print_filled, print_record, print_table, shown
from stence.domain.text import quoted_formula
from stence.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

PATIENT = "patient_id"


@click.command()
@click.argument("name", required=False)
@click.option("-p", "--param", "params", multiple=True, metavar="K=V", help="A parameter of the query.")
@click.option("--csv", "as_csv", is_flag=True, help="Write CSV to standard output. Formulas are quoted.")
@click.option("--identified", is_flag=True, help="Show patient numbers too; needs --why.")
@click.option("--why", help="Reason for seeing patient numbers, for the audit.")
@click.option("--parquet", type=click.Path(dir_okay=False, path_type=Path), help="Write a Parquet file.")
def query(
    name: str | None,
    params: tuple[str, ...],
    as_csv: bool,
    identified: bool,
    why: str | None,
    parquet: Path | None,
) -> None:
    """Run the ready query NAME. Without a name, list the queries. A single row is shown line by line."""
    from stence import database
    from stence.database import queries

    if name is None:
        print_table("Ready queries", ["name", "answers"], queries.available())
        return
    if identified and not (why or "").strip():
        raise click.UsageError("--identified needs --why: the audit keeps the reason.")
    given = dict(_pair(text) for text in params)
    with database.connect(Settings()) as engine, engine.begin() as connection:
        columns, rows = queries.run(connection, name, given)
        if identified:
            columns, rows = _with_numbers(connection, columns, rows, why or "")
    if as_csv:
        csv.writer(sys.stdout).writerows([columns, *(map(_csv_cell, row) for row in rows)])
    elif parquet:
        _write_parquet(parquet, columns, rows)
        click.echo(f"{len(rows)} rows in {parquet}")
    elif len(rows) == 1:
        print_record(name, columns, rows[0])
    else:
        print_filled(name, columns, rows)


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise click.BadParameter(f"{text!r} is not of the form K=V", param_hint="--param")
    return name, value


def _with_numbers(
    connection: Connection, columns: list[str], rows: list[tuple[Any, ...]], why: str
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Put the patients' numbers before the columns. The audit records the read."""
    from stence.database.identity import numbers_of

    if PATIENT not in columns:
        raise click.UsageError("This query names no patients.")
    place = columns.index(PATIENT)
    numbers = numbers_of(connection, {row[place] for row in rows}, why=why)
    return ["number", *columns], [(numbers.get(row[place]), *row) for row in rows]


def _write_parquet(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write the rows with the types that they have; numbers of runs (UUID) become text."""
    import pyarrow
    from pyarrow import parquet

    def cells(place: int) -> list[Any]:
        return [str(row[place]) if isinstance(row[place], uuid.UUID) else row[place] for row in rows]

    table = pyarrow.table({name: cells(place) for place, name in enumerate(columns)})
    parquet.write_table(table, path)


def _csv_cell(value: Any) -> Any:
    """A value without control characters. Text that a spreadsheet would compute gets a leading quote."""
    if value is None or isinstance(value, int | float | Decimal):
        return value
    return quoted_formula(shown(str(value)))
