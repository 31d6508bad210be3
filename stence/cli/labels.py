"""``stence labels``: models for labels other than stenosis, for studies."""

from __future__ import annotations

import click

from stence.cli.terminal import print_table, progress_bars
from stence.settings import Settings

SHOWN = ("auroc", "auprc", "sensitivity", "specificity")
"""Metrics in the terminal; the report has more."""


@click.command()
@click.argument("config")
def labels(config: str) -> None:
    """Fine-tune a model for the labels of CONFIG, a name or a YAML file. The model scores no patients."""
    from stence.labels import fit_labels, load_config
    from stence.labels.report import figure
    from stence.objects import open_store

    settings, loaded = Settings(), load_config(config)
    store = open_store(settings.resolved_store_url, settings)
    with progress_bars() as progress:
        report = fit_labels(store, settings, loaded, progress)
    counts = ("patients", "ecgs", "cases")
    rows = [
        (name, *(measured[count] for count in counts), *(figure(measured[column]) for column in SHOWN))
        for name, measured in report.metrics.items()
    ]
    print_table(f"{report.name} on the test patients", ("label", *counts, *SHOWN), rows)
    click.echo(f"Model and report: {settings.task_prefix}{report.folder} in the store. Not for scoring.")
