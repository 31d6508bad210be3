"""``stence about``: version and licence of stence, and of everything that it needs."""

from __future__ import annotations

import json

import click

from stence import __version__, dependencies
from stence.cli.bill import bill_of_materials
from stence.cli.terminal import print_table

NOT_STATED = "not stated"
OWN = "no licence chosen yet"


@click.command()
@click.option("--sbom", is_flag=True, help="Write the bill of materials (CycloneDX 1.6, JSON).")
@click.option("--licences", is_flag=True, help="List the licences of all dependencies, as they state them.")
def about(sbom: bool, licences: bool) -> None:
    """Tell version and licence, and list what stence needs on this host, with its licences."""
    needed = dependencies.needed()
    if sbom:
        click.echo(json.dumps(bill_of_materials(needed), indent=2))
        return
    click.echo(f"stence {__version__}: {OWN}; {len(needed) - 1} dependencies")
    if licences:
        del needed[dependencies.STENCE]
        stated = {name: dependencies.licence(each) for name, each in needed.items()}
        rows = [
            (name, each.version, found.text if (found := stated[name]) else NOT_STATED)
            for name, each in needed.items()
        ]
        print_table("Licences of the dependencies", ("distribution", "version", "licence"), rows)
