"""``stence ingest`` and ``stence score``: the flows, run once, without a server of yours."""

from __future__ import annotations

import click

from stence.cli import prefect_home
from stence.cli.terminal import print_table
from stence.settings import Settings


@click.command()
def ingest() -> None:
    """List the object store and record new or changed ECGs."""
    prefect_home.prepare(Settings())
    from flows.ingest import ingest as flow

    counts = flow()
    print_table("Indexed", list(counts), [list(counts.values())])


@click.command()
def score() -> None:
    """Score every ECG the champion has not scored yet, and raise the flags."""
    run_score_flow(Settings())


def run_score_flow(settings: Settings) -> None:
    """Run the score flow in this process and print the counts, which must add up."""
    prefect_home.prepare(settings)
    from flows.score import score as flow

    counts = flow()
    print_table("Where every ECG ended", list(counts), [list(counts.values())])
