"""``stence retention``: remove what is older than the settings keep."""

from __future__ import annotations

import click

from stence.cli.terminal import print_table, progress_bars
from stence.settings import Settings


@click.command()
@click.option("--yes", is_flag=True, help="Remove the rows; without it they are only counted.")
def retention(yes: bool) -> None:
    """Remove rows that are older than the settings STENCE_RETENTION__… keep. First see their number."""
    from stence import database
    from stence.forgetting.retention import apply, past_retention
    from stence.objects import open_store

    settings = Settings()
    store = open_store(settings.resolved_store_url, settings)
    with database.connect(settings) as engine, progress_bars() as progress:
        counts = apply(engine, store, settings, progress) if yes else past_retention(engine, settings)
    print_table("Rows past their retention", ("kind", "rows"), list(counts.items()))
    click.echo("Removed." if yes else "Nothing has changed: repeat the command with --yes to remove them.")
