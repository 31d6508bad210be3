"""``stence report``: the results of monitoring as one HTML page."""

from __future__ import annotations

from pathlib import Path

import click

from stence.cli.terminal import progress_bars
from stence.settings import Settings


@click.command()
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Also write the page into this file."
)
def report(out: Path | None) -> None:
    """Write the monitoring report into the store: one self-contained page that names no patient."""
    from stence import database
    from stence.monitoring.report import write_report
    from stence.objects import open_store

    settings = Settings()
    store = open_store(settings.resolved_store_url, settings)
    with database.connect(settings) as engine, progress_bars() as progress:
        written = write_report(engine, store, settings, progress)
    if out is not None:
        out.write_bytes(written.content)
    click.echo(f"The report is in the store under {written.key}" + (f" and in {out}." if out else "."))
