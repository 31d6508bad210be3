"""``stence patients``: patient numbers that were merged, and the history of it."""

from __future__ import annotations

import click

from stence.cli.terminal import print_table
from stence.settings import Settings

BY = click.option("--by", required=True, help="Who decides.")


@click.group()
def patients() -> None:
    """Merged patient numbers: record a merge, end one, and look a number up."""


@patients.command()
@click.argument("former")
@click.argument("present")
@BY
@click.option("--why", required=True, help="The reason, kept in the history.")
def merge(former: str, present: str, by: str, why: str) -> None:
    """Merge the number FORMER into the number PRESENT of the same patient.

    ECGs, flags, reviews, cath studies and the patient's split follow at once.
    """
    from stence import database
    from stence.ingest import merges

    with database.connect(Settings()) as engine, engine.begin() as connection:
        split = merges.merge(connection, former, present, by=by, why=why)
    click.echo(f"Merged. {split}")


@patients.command()
@click.argument("former")
@BY
def separate(former: str, by: str) -> None:
    """End the merge of the number FORMER: it is a patient of its own again.

    ECGs follow with the next score run, cath studies with the next ingest.
    """
    from stence import database
    from stence.ingest import merges

    with database.connect(Settings()) as engine, engine.begin() as connection:
        merges.unmerge(connection, former, by=by)
    click.echo("Separated. The next runs give each number what is its own.")


@patients.command()
@click.argument("number")
def show(number: str) -> None:
    """Show all numbers of the patient who has NUMBER, or had it once."""
    from stence import database
    from stence.database import queries

    with database.connect(Settings()) as engine, engine.connect() as connection:
        columns, rows = queries.run(connection, "patient_numbers", {"patient": number})
    print_table("Merges of this patient's numbers", columns, rows)
