"""``stence backup`` and ``stence restore``."""

from __future__ import annotations

from pathlib import Path

import click

from stence.cli.terminal import progress_bars
from stence.settings import Settings


@click.command()
@click.argument("place", metavar="FOLDER_OR_FILE", type=click.Path(path_type=Path))
@click.option("--features", is_flag=True, help="Also features of angiograms, which can be computed again.")
def backup(place: Path, features: bool) -> None:
    """Write the database and what stence keeps in the store into one archive, while stence runs.

    The hospital's own files (ECGs, reports, angiograms) and secrets (.env, keys) are not in it.
    """
    from stence import database
    from stence.backup import back_up
    from stence.objects import open_store

    settings = Settings()
    store = open_store(settings.resolved_store_url, settings)
    with database.connect_as_owner(settings) as engine, progress_bars() as progress:
        done = back_up(engine, store, settings, place, features=features, progress=progress)
    click.echo(f"{done.path} holds the database and {done.objects} objects: {done.size / 2**20:,.1f} MiB.")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def restore(file: Path) -> None:
    """Verify the backup FILE, and restore it into an empty database and the store.

    Copy ECGs, reports and angiograms first, with their times (rsync -a): then no ECG is scored again. The key
    of pseudonyms is not in FILE.
    """
    from stence import database
    from stence.backup import restore as bring_back
    from stence.objects import open_store

    settings = Settings()
    store = open_store(settings.resolved_store_url, settings)
    with database.connect_as_it_is(settings) as engine, progress_bars() as progress:
        done = bring_back(engine, store, settings, file, progress)
    copies = f" {done.copies:,} ECG files are copies of known ones." if done.copies else ""
    click.echo(f"Restored: the database and {done.objects} objects.{copies} Next: stence doctor")
