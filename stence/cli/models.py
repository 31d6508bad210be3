"""``stence models``: the versions, which one is champion, and changing that."""

from __future__ import annotations

import click

from stence.cli.terminal import print_table
from stence.settings import Settings

BY = click.option("--by", required=True, help="Who decides.")
WHY = click.option("--why", required=True, help="The reason, kept in the history.")


@click.group()
def models() -> None:
    """Model versions and their states."""


@models.command("list")
def list_versions() -> None:
    """List versions, newest first."""
    from stence import database
    from stence.database import queries

    with database.connect(Settings()) as engine, engine.connect() as connection:
        columns, rows = queries.run(connection, "model_history", {})
    print_table("Model versions", columns, rows)


@models.command()
@click.argument("version")
@BY
@WHY
def promote(version: str, by: str, why: str) -> None:
    """Make VERSION the champion; the one before it retires."""
    from stence import database, registry

    with database.connect(Settings()) as engine, engine.begin() as connection:
        registry.promote(connection, version, by=by, why=why)
    click.echo(f"{version} is champion.")


@models.command()
@BY
@WHY
def rollback(by: str, why: str) -> None:
    """Bring back the champion before this one."""
    from stence import database, registry

    with database.connect(Settings()) as engine, engine.begin() as connection:
        version = registry.rollback(connection, by=by, why=why)
    click.echo(f"{version} is champion again.")
