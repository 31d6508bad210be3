"""``stence query``: the ready queries of ``sql/queries``, with their parameters."""

from __future__ import annotations

import csv
import sys

import click

from stence.cli.terminal import print_table
from stence.settings import Settings


@click.command()
@click.argument("name", required=False)
@click.option("-p", "--param", "params", multiple=True, metavar="K=V", help="A parameter of the query.")
@click.option("--csv", "as_csv", is_flag=True, help="Write CSV to standard output.")
def query(name: str | None, params: tuple[str, ...], as_csv: bool) -> None:
    """Run a ready query by NAME; without a name, list them."""
    from stence import database
    from stence.database import queries

    if name is None:
        print_table("Ready queries", ["name", "answers"], queries.available())
        return
    given = dict(_pair(text) for text in params)
    with database.connect(Settings()) as engine, engine.connect() as connection:
        columns, rows = queries.run(connection, name, given)
    if as_csv:
        csv.writer(sys.stdout).writerows([columns, *rows])
    else:
        print_table(name, columns, rows)


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise click.BadParameter(f"{text!r} is not of the form K=V", param_hint="--param")
    return name, value
