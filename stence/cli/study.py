"""``stence study``: the benefit of pretraining on angiograms, measured with the hospital's own data."""

from __future__ import annotations

import click

from stence.cli.terminal import progress_bars
from stence.settings import Settings


@click.command()
@click.argument("config")
def study(config: str) -> None:
    """Compare encoders from scratch, as published, and after StenCE. CONFIG is a YAML file or a preset.

    A stopped study continues when it is started again. Several processes share the work.
    """
    from stence import database
    from stence.objects import open_store
    from stence.study import load_study, run_study

    settings, planned = Settings(), load_study(config)
    store = open_store(settings.resolved_store_url, settings)
    with database.connect(settings) as engine, progress_bars() as progress:
        report = run_study(engine, store, settings, planned, progress)
    click.echo(report.markdown)
    click.echo(f"Table and picture are in {report.folder} of {store.url}.")
