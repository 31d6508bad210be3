"""``stence unpack``: archives of several ECGs."""

from __future__ import annotations

import click

from stence.cli.terminal import echo
from stence.settings import Settings


@click.command()
@click.argument("keys", metavar="KEY...", nargs=-1, required=True)
def unpack(keys: tuple[str, ...]) -> None:
    """Write the files of archives KEY in the store into folders beside them; the next index takes them up.

    For ECGs in quarantine as several_ecgs. The archives stay: dismiss their rows.
    """
    from stence.ingest.unpacking import unpack
    from stence.objects import open_store

    settings = Settings()
    store = open_store(settings.resolved_store_url, settings)
    for key in keys:
        unpacked = unpack(store, key, settings)
        existed = f"; {len(unpacked.kept)} existed and were kept" if unpacked.kept else ""
        echo(f"{key}: {len(unpacked.written)} files are in {unpacked.folder}{existed}.")
