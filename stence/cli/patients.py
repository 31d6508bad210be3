"""``stence patients``: merged patient numbers and their history."""

from __future__ import annotations

import click

from stence.cli.terminal import print_table
from stence.pseudonym_key import load_pseudonyms
from stence.settings import Settings

BY = click.option("--by", required=True, help="Name of the person who decides.")


@click.group()
def patients() -> None:
    """Merged patient numbers: record a merge, end a merge, look up a number."""


@patients.command()
@click.argument("former")
@click.argument("present")
@BY
@click.option("--why", required=True, help="The reason, for the history.")
def merge(former: str, present: str, by: str, why: str) -> None:
    """Merge the number FORMER into the number PRESENT of the same patient.

    ECGs, flags, reviews, cath studies and the patient's split change at once.
    """
    from stence import database
    from stence.ingest import merges

    settings = Settings()
    with database.connect(settings) as engine, engine.begin() as connection:
        split = merges.merge(connection, load_pseudonyms(settings), former, present, by=by, why=why)
    click.echo(f"Merged. {split}")


@patients.command()
@click.argument("former")
@BY
def separate(former: str, by: str) -> None:
    """End the merge of the number FORMER. The number is a patient of its own again.

    ECGs change with the next score run, cath studies with the next ingest.
    """
    from stence import database
    from stence.ingest import merges

    settings = Settings()
    with database.connect(settings) as engine, engine.begin() as connection:
        merges.unmerge(connection, load_pseudonyms(settings), former, by=by)
    click.echo("Separated. The next runs assign ECGs and cath studies to each number.")


@patients.command()
@click.argument("number")
def show(number: str) -> None:
    """Show all present and former numbers of the patient with NUMBER."""
    from stence import database
    from stence.database import queries

    with database.connect(Settings()) as engine, engine.connect() as connection:
        columns, rows = queries.run(connection, "patient_numbers", {"patient": number})
    print_table("Merges of this patient's numbers", columns, rows)
