"""``stence patients``: merged patient numbers, the opt-out list, and patients to be forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stence.cli.terminal import echo, print_table
from stence.settings import Settings

if TYPE_CHECKING:
    from stence.forgetting import Forgotten

BY = click.option("--by", required=True, help="Name of the person who decides.")
WHY = click.option("--why", required=True, help="The reason, for the audit; without patient identifiers.")


@click.group()
def patients() -> None:
    """Patients: merge numbers, opt out, and forget."""


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

    with database.connect(Settings()) as engine, engine.begin() as connection:
        split = merges.merge(connection, former, present, by=by, why=why)
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

    with database.connect(Settings()) as engine, engine.begin() as connection:
        merges.unmerge(connection, former, by=by)
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


@patients.command()
@click.argument("number")
@BY
@WHY
@click.option("--yes", is_flag=True, help="Forget the patient; without it, only say what would go.")
def forget(number: str, by: str, why: str, yes: bool) -> None:
    """Forget the patient with NUMBER, of whom nothing is taken up any more. First see what would go.

    Receivers of exported flags are told that the flags are void. The hospital's files stay in the store, and
    models that learned from the patient stay as they are.
    """
    from stence import database, forgetting
    from stence.objects import open_store

    settings = Settings()
    store = open_store(settings.resolved_store_url, settings)
    with database.connect(settings) as engine:
        if yes:
            done = forgetting.forget(engine, store, settings, number, by=by, why=why)
        else:
            done = forgetting.try_forgetting(engine, settings, number)
    _print(done)
    click.echo("Forgotten." if yes else "Nothing has changed: repeat the command with --yes to forget.")


@patients.command("opt-out")
@click.argument("number")
@BY
@WHY
def opt_out(number: str, by: str, why: str) -> None:
    """Take up nothing of the patient with NUMBER from now on, and withdraw the patient's flags.

    Scores stay; stence patients forget removes them.
    """
    from stence import database, forgetting

    with database.connect(Settings()) as engine, engine.begin() as connection:
        done = forgetting.opt_out(connection, number, by=by, why=why)
    click.echo(f"Opted out, by {done.numbers} numbers. {done.flags} flags were withdrawn.")


@patients.command("opt-in")
@click.argument("number")
@BY
@WHY
def opt_in(number: str, by: str, why: str) -> None:
    """End the opt-out of the patient with NUMBER. The next runs take up the patient's files."""
    from stence import database, forgetting

    with database.connect(Settings()) as engine, engine.begin() as connection:
        forgetting.opt_in(connection, number, by=by, why=why)
    click.echo("Opted in: the next index and score run take up the patient's files.")


def _print(done: Forgotten) -> None:
    rows = [(kind, count) for counts in (done.rows, done.files) for kind, count in counts.items() if count]
    print_table("Rows and files of the patient", ("kind", "count"), rows)
    for receiver, flags in done.receivers.items():
        told = "was not told: tell it yourself" if receiver in done.untold else "is told that they are void"
        echo(f"{receiver} has {flags} flags, and {told}.")
    for key in done.kept_files:
        echo(f"{key} tells its receiver; delete it when the receiver has loaded it.")
    if done.models:
        split = [(each.model_version, each.split, "yes" if each.certain else "maybe") for each in done.models]
        print_table("Models whose data had the patient", ("model", "data", "certain"), split)
        click.echo("Models cannot unlearn a patient; the next training leaves the patient out.")
