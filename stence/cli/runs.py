"""The flows ingest, score, retrain and monitor as commands, run once, without a Prefect server of yours."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

import click

from stence.cli.prefect_server import ensure_server
from stence.cli.terminal import print_table
from stence.settings import Settings


@click.command()
def ingest() -> None:
    """List the object store and record new or changed ECGs, cath reports and angiograms."""
    ensure_server(Settings())
    from stence.flows.ingest import ingest as flow

    with _tagged("ingest"):
        counts = flow()
    print_table("Indexed", ("what", "count"), list(counts.items()))


@click.command()
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes on this host, each with its share of the cores, and a GPU where there are any.",
)
def score(workers: int) -> None:
    """Score every ECG without a score of the champion, and raise the flags."""
    run_score_flow(Settings(), workers)


@click.command()
@click.option("--preset", help="Configuration: a name or a YAML file. Default: STENCE_PRESET.")
def retrain(preset: str | None) -> None:
    """Train a model on the data including new cath studies. The gate decides on the model."""
    run_retrain_flow(Settings(), preset)


@click.command()
@click.option(
    "--day",
    "days",
    multiple=True,
    type=click.DateTime(["%Y-%m-%d"]),
    help="A day to monitor, again or for the first time. Repeat the option for several days.",
)
def monitor(days: tuple[datetime, ...]) -> None:
    """Monitor the last complete days: measure drift and outcomes, raise alerts, write the report."""
    ensure_server(Settings())
    from stence.flows.monitor import monitor as flow

    with _tagged("monitor"):
        found = flow([day.date() for day in days] or None)
    print_table("Monitored", list(found), [list(found.values())])


def run_retrain_flow(settings: Settings, preset: str | None) -> dict[str, Any]:
    """Run the retrain flow in this process; print and return its outcome."""
    ensure_server(settings)
    from stence.flows.retrain import retrain as flow

    with _tagged("retrain"):
        outcome = flow(preset)
    shown = {name: "; ".join(value) if isinstance(value, list) else value for name, value in outcome.items()}
    print_table("Retraining", list(shown), [list(shown.values())])
    return outcome


def run_score_flow(settings: Settings, workers: int = 1) -> None:
    """Run the score flow in this process and print the counts, which must add up."""
    ensure_server(settings)
    from stence.flows.score import score as flow

    with _tagged("score"):
        counts = flow(workers=workers)
    print_table("Where every ECG ended", list(counts), [list(counts.values())])


def _tagged(kind: str) -> AbstractContextManager[set[str]]:
    """Give runs of the context the tags of the deployment of this kind, which automations match."""
    from prefect import tags

    return tags("stence", kind)
