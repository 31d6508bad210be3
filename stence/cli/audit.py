"""``stence audit``: list the audit, and verify that nobody has changed it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stence.cli.terminal import echo, print_table
from stence.settings import Settings

if TYPE_CHECKING:
    from stence.database.audit import Verified

HASH_DIGITS = 64


@click.group()
def audit() -> None:
    """Who did what, when and why: list the audit, or verify it."""


@audit.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="Number of entries.")
@click.option("--action", default="", help="Only entries of this action, for example flags.changed.")
def list_entries(limit: int, action: str) -> None:
    """List entries, newest first."""
    from stence import database
    from stence.database import queries

    with database.connect(Settings()) as engine, engine.connect() as connection:
        found = queries.run(connection, "audit", {"limit": str(limit), "action": action})
    print_table("Audit", *found)


@audit.command()
@click.option("--expect", metavar="HASH", help="A hash that an earlier verify printed, kept elsewhere.")
def verify(expect: str | None) -> None:
    """Verify the chain of the audit, and that flags and scores are as it says. Exit code 1: they are not.

    Keep the printed hash where this database's superuser cannot write. A chain that a superuser has cut off
    or rewritten is found only with --expect.
    """
    from stence import database
    from stence.database import audit as library

    with database.connect(Settings()) as engine:
        found = library.verify(engine, _digits(expect))
    _print(found)
    if found.faults:
        raise SystemExit(1)


def _digits(text: str | None) -> str | None:
    if text is None:
        return None
    digits = text.strip().lower()
    if len(digits) != HASH_DIGITS or set(digits) - set("0123456789abcdef"):
        raise click.BadParameter("a hash has 64 hexadecimal digits", param_hint="--expect")
    return digits


def _print(found: Verified) -> None:
    click.echo(f"{found.head.position} links, head {found.head.hash or 'none'}")
    for fault in found.faults:
        echo(f"BROKEN: {fault}")
    if not found.faults:
        click.echo("The chain is whole; flags and scores are as it says.")
