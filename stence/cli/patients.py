"""``stence patients``: numbers and pseudonyms, merges, opt-outs, patients to be forgotten, and the key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stence.cli.terminal import echo, print_table
from stence.domain.pseudonyms import Pseudonyms
from stence.errors import StenceError
from stence.pseudonym_key import load_pseudonyms
from stence.settings import Settings

if TYPE_CHECKING:
    from stence.forgetting import Forgotten

BY = click.option("--by", required=True, help="Name of the person who decides.")
WHY = click.option("--why", required=True, help="The reason, for the audit; without patient identifiers.")


@click.group()
def patients() -> None:
    """Patients: look up, merge, separate, opt out, forget, and change the key of pseudonyms."""


@patients.command()
@click.argument("former")
@click.argument("present")
@BY
@WHY
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
@WHY
def find(number: str, why: str) -> None:
    """Find the pseudonym of the patient with NUMBER, present or former. The audit keeps the search."""
    from stence import database
    from stence.database import identity
    from stence.domain.patients import certain_id

    with database.connect(Settings()) as engine, engine.begin() as connection:
        found = identity.find(connection, certain_id(number, StenceError), why=why)
    if found is None:
        raise StenceError("No patient with this number is known here, or not to you.")
    click.echo(f"Pseudonym {found[0]}" if found[0] == found[1] else f"Pseudonym {found[0]}, now {found[1]}")


@patients.command()
@click.argument("pseudonym")
@WHY
def number(pseudonym: str, why: str) -> None:
    """Show the patient number behind PSEUDONYM. The audit keeps the look."""
    from stence import database
    from stence.database import identity

    with database.connect(Settings()) as engine, engine.begin() as connection:
        found = identity.numbers_of(connection, [pseudonym], why=why)
    if not found:
        raise StenceError("No patient with this pseudonym is known here, or not to you.")
    echo(f"Number {found[pseudonym]}")


@patients.command()
@click.argument("key_file", type=click.Path(dir_okay=False, path_type=Path))
@BY
@WHY
@click.option("--yes", is_flag=True, help="Do it; otherwise only show what would change.")
def rekey(key_file: Path, by: str, why: str, yes: bool) -> None:
    """Change the key of pseudonyms to the one in KEY_FILE, which is drawn if the file is missing.

    Every row of every table changes in one transaction. No run may be alive.
    """
    from stence import database
    from stence.database.rekey import rekey as change
    from stence.pseudonym_key import draw_key, read_key, write_key

    if read_key(key_file) is None:
        write_key(key_file, draw_key())
    settings, new = Settings(), Pseudonyms.by(read_key(key_file) or "")
    with (
        database.connect_as_owner(settings) as engine,
        engine.connect() as connection,
        connection.begin() as changes,
    ):
        rows = change(connection, settings, new, by=by, why=why)
        (changes.commit if yes else changes.rollback)()
    print_table("Rows with new pseudonyms", ("column", "rows"), list(rows.items()))
    where = f"STENCE_PSEUDONYM_KEY_FILE={key_file.resolve()}"
    click.echo(f"Done. Set {where} on every host now." if yes else "Nothing was changed; add --yes to do it.")


@patients.command()
@click.argument("pseudonym")
def show(pseudonym: str) -> None:
    """Show the merges of the patient with PSEUDONYM, present or former."""
    from stence import database
    from stence.database import queries

    with database.connect(Settings()) as engine, engine.connect() as connection:
        columns, rows = queries.run(connection, "patient_numbers", {"patient": pseudonym})
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
    with database.connect_as_owner(settings) as engine:
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
    from stence.database.identity import settle_key

    settings = Settings()
    with database.connect_as_owner(settings) as engine, engine.begin() as connection:
        done = forgetting.opt_out(connection, settle_key(connection, settings), number, by=by, why=why)
    click.echo(f"Opted out, by {done.numbers} numbers. {done.flags} flags were withdrawn.")


@patients.command("opt-in")
@click.argument("number")
@BY
@WHY
def opt_in(number: str, by: str, why: str) -> None:
    """End the opt-out of the patient with NUMBER. The next runs take up the patient's files."""
    from stence import database, forgetting
    from stence.database.identity import settle_key

    settings = Settings()
    with database.connect_as_owner(settings) as engine, engine.begin() as connection:
        forgetting.opt_in(connection, settle_key(connection, settings), number, by=by, why=why)
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
