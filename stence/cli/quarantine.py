"""``stence quarantine``: list, retry and dismiss files that could not be used."""

from __future__ import annotations

import click

from stence.cli.terminal import print_table
from stence.settings import Settings

REASON = click.option("--reason", help="Only rows with this reason.")


@click.group()
def quarantine() -> None:
    """ECGs and angiograms that could not be used: list, retry or dismiss them."""


@quarantine.command("list")
@REASON
@click.option("--limit", default=50, show_default=True, help="Number of rows.")
def list_rows(reason: str | None, limit: int) -> None:
    """List open rows, newest first."""
    from stence import database, scoring

    with database.connect(Settings()) as engine, engine.connect() as connection:
        columns, rows = scoring.quarantine.list_open(connection, reason=reason, limit=limit)
    print_table("In quarantine", columns, rows)


@quarantine.command()
@click.argument("ids", nargs=-1, type=int)
@REASON
@click.option("--all", "everything", is_flag=True, help="Every open row.")
def retry(ids: tuple[int, ...], reason: str | None, everything: bool) -> None:
    """Make rows pending again: by id, by reason, or all rows."""
    from stence import database, scoring

    if not (ids or reason or everything):
        raise click.UsageError("Name ids, a --reason, or --all.")
    with database.connect(Settings()) as engine, engine.begin() as connection:
        count = scoring.quarantine.retry(connection, ids=list(ids) or None, reason=reason)
    click.echo(f"{count} files are pending again. The next run processes them.")


@quarantine.command()
@click.argument("ids", nargs=-1, type=int, required=True)
@click.option("--by", required=True, help="Name of the person who decides.")
def dismiss(ids: tuple[int, ...], by: str) -> None:
    """Dismiss rows permanently. The files are never used, and no longer count as a patient conflict."""
    from stence import database, scoring

    with database.connect(Settings()) as engine, engine.begin() as connection:
        count = scoring.quarantine.dismiss(connection, ids=list(ids), by=by)
    click.echo(f"{count} rows dismissed.")
