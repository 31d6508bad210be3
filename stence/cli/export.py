"""``stence export``: send flags to other systems."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stence.cli.terminal import print_table
from stence.settings import Settings

if TYPE_CHECKING:
    from stence.export import Sent


@click.group()
def export() -> None:
    """Send flags to other systems: new ones, and those that changed since they were sent."""


@export.command()
def fhir() -> None:
    """Send flags as FHIR R4 to the server of STENCE_FHIR_URL; without it, write them to files in the store.

    A withdrawn flag that was sent before is sent as entered-in-error.
    """
    from stence import database
    from stence.export import send_fhir
    from stence.objects import open_store

    settings = Settings()
    with database.connect(settings) as engine:
        _tell(send_fhir(engine, open_store(settings.resolved_store_url, settings), settings))


@export.command("csv")
def as_csv() -> None:
    """Write flags to a CSV file in the store.

    A withdrawn flag that was written before is written as entered-in-error.
    """
    from stence import database
    from stence.export import send_csv
    from stence.objects import open_store

    settings = Settings()
    with database.connect(settings) as engine:
        _tell(send_csv(engine, open_store(settings.resolved_store_url, settings), settings))


def _tell(sent: Sent) -> None:
    print_table("Exported flags", sent._fields, [sent])
    if sent.refused:
        raise click.ClickException(
            f"The server refused {sent.refused} flags: stence query flag_exports shows a reason."
        )
