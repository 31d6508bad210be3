"""``stence ingest``, ``score`` and ``retrain``: the flows, run once, without a server of yours."""

from __future__ import annotations

from typing import Any

import click

from stence.cli import prefect_home
from stence.cli.terminal import print_table
from stence.settings import Settings


@click.command()
def ingest() -> None:
    """List the object store and record new or changed ECGs, cath reports and angiograms."""
    prefect_home.prepare(Settings())
    from flows.ingest import ingest as flow

    counts = flow()
    print_table("Indexed", ("what", "count"), list(counts.items()))


@click.command()
def score() -> None:
    """Score every ECG the champion has not scored yet, and raise the flags."""
    run_score_flow(Settings())


@click.command()
@click.option("--preset", help="Configuration: a name, or a YAML file; by default STENCE_PRESET.")
def retrain(preset: str | None) -> None:
    """Learn from what the cath lab added since; the model goes into shadow or is rejected."""
    run_retrain_flow(Settings(), preset)


def run_retrain_flow(settings: Settings, preset: str | None) -> dict[str, Any]:
    """Run the retrain flow in this process and print what came of it; that."""
    prefect_home.prepare(settings)
    from flows.retrain import retrain as flow

    outcome = flow(preset)
    shown = {name: "; ".join(value) if isinstance(value, list) else value for name, value in outcome.items()}
    print_table("Retraining", list(shown), [list(shown.values())])
    return outcome


def run_score_flow(settings: Settings) -> None:
    """Run the score flow in this process and print the counts, which must add up."""
    prefect_home.prepare(settings)
    from flows.score import score as flow

    counts = flow()
    print_table("Where every ECG ended", list(counts), [list(counts.values())])
