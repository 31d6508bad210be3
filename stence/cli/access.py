"""``stence migrate`` and ``stence access``: what the owner of the schema does, and the flows may not."""

from __future__ import annotations

import click

from stence.cli.terminal import print_table
from stence.settings import Settings

LOGIN = click.argument("login")
SITE = click.option("--site", required=True, help="Site, as in ecgs.")
BY = click.option("--by", required=True, help="Name of the person who decides.")
WHY = click.option("--why", required=True, help="The reason, for the audit.")


@click.command()
def migrate() -> None:
    """Bring the database schema to this version, with the login of STENCE_OWNER_URL."""
    from stence import database
    from stence.database.migrate import current_revision

    with database.connect_as_owner(Settings()) as engine:
        click.echo(f"The schema is at {current_revision(engine)}, views and rights are up to date.")


@click.group()
def access() -> None:
    """Show a clinician the patients of a site; the role comes with the first site."""


@access.command()
@LOGIN
@SITE
@BY
@WHY
def grant(login: str, site: str, by: str, why: str) -> None:
    """Let LOGIN, a login of Postgres, see every patient with an ECG of a site."""
    from stence import database
    from stence.database.sites import add_site

    with database.connect_as_owner(Settings()) as engine, engine.begin() as connection:
        known = add_site(connection, login, site, by=by, why=why)
    click.echo(
        f"{login} sees the patients of {site}." + ("" if known else " No ECG of this site is known yet.")
    )


@access.command()
@LOGIN
@SITE
@BY
@WHY
def revoke(login: str, site: str, by: str, why: str) -> None:
    """Hide the patients of a site from LOGIN, but those with an ECG of another of its sites."""
    from stence import database
    from stence.database.sites import remove_site

    with database.connect_as_owner(Settings()) as engine, engine.begin() as connection:
        remove_site(connection, login, site, by=by, why=why)
    click.echo(f"{login} is no member of {site} any more.")


@access.command(name="list")
def list_members() -> None:
    """List all clinicians with their sites."""
    from stence import database
    from stence.database.sites import members

    with database.connect_as_owner(Settings()) as engine, engine.connect() as connection:
        found = [tuple(row) for row in members(connection)]
    print_table("Clinicians and their sites", ("login", "site", "by", "since", "why"), found)
