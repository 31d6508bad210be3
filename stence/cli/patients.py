"""``stence patients``: numbers and pseudonyms of patients, merged numbers, and the key of pseudonyms."""

from __future__ import annotations

from pathlib import Path

import click

from stence.cli.terminal import echo, print_table
from stence.domain.pseudonyms import Pseudonyms
from stence.errors import StenceError
from stence.pseudonym_key import load_pseudonyms
from stence.settings import Settings

BY = click.option("--by", required=True, help="Name of the person who decides.")
WHY = click.option("--why", required=True, help="The reason, for the history.")


@click.group()
def patients() -> None:
    """Numbers and pseudonyms of patients: look up, merge, separate, change the key."""


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
    from stence.domain.patients import patient_id

    with database.connect(Settings()) as engine, engine.begin() as connection:
        found = identity.find(connection, patient_id(number) or "", why=why)
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
    with database.connect(settings) as engine, engine.connect() as connection, connection.begin() as changes:
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
