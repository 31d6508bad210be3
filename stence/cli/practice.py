"""The practice hospital: ``simulate`` writes its data, ``train`` and ``practice`` work on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import TYPE_CHECKING

import click

from stence.cli import news
from stence.cli.runs import run_retrain_flow, run_score_flow
from stence.cli.terminal import print_filled, progress_bars
from stence.errors import StenceError
from stence.pseudonym_key import find_key
from stence.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from stence.objects import ObjectStore

PATIENTS = click.option(
    "--patients", default=3000, show_default=True, help="Number of patients in the practice hospital."
)
SEED = click.option("--seed", default=7, show_default=True, help="The same seed gives the same hospital.")
TRAINED = {
    "shadow": "passed the gate, and scores in shadow: stence models promote VERSION --by … --why …",
    "candidate": "is a candidate, as the gate cannot tell. Read stence models card VERSION, then promote it: "
    "stence models promote VERSION --by … --why …",
    "rejected": "did not pass the gate and is rejected: stence models card VERSION says why.",
}
"""What has become of a trained model, by its state."""
REJECTED = (
    "The gate rejected the model of the practice hospital, which happens with few patients: try again in an "
    "empty data folder with more --patients or another --seed"
)
PRACTICE_AUTHOR = "stence practice"
PRACTICE_PRESET = "small"


@click.command()
@PATIENTS
@SEED
@click.option("--angiograms/--no-angiograms", default=True, show_default=True, help="Also write angiograms.")
@click.option("--days", default=0, help="Write this number of routine days instead of the archive.")
@click.option(
    "--first-day",
    type=click.DateTime(["%Y-%m-%d"]),
    default="2026-07-01",
    show_default=True,
    help="First day.",
)
@click.option("--fault", metavar="NAME", help="Fault on these days. An unknown name lists all faults.")
def simulate(
    patients: int, seed: int, angiograms: bool, days: int, first_day: datetime, fault: str | None
) -> None:
    """Write a practice hospital into the store: ECGs, manifest, cath reports, angiograms.

    The store must be empty or hold an earlier simulation, and so must the database. With --days, the command
    writes routine days instead: their ECGs, and cath reports of patients who were referred for symptoms or a
    flag.
    """
    if days:
        _simulate_days(Settings(), seed, days, first_day.date(), fault)
    elif fault:
        raise click.UsageError("--fault needs routine days: set their number with --days.")
    else:
        _simulate(Settings(), patients, seed, angiograms=angiograms)


@click.command()
@click.option("--preset", default="small", show_default=True, help="Configuration (name or YAML file).")
def train(preset: str) -> None:
    """Train a model on the cath reports in the store, without angiograms. The gate decides on the model."""
    version, state = _train(Settings(), preset)
    click.echo(f"{version} {TRAINED[state]}")
    news.tell_model(Settings(), "registered" if state == "candidate" else state, version)


@click.command()
@PATIENTS
@SEED
@click.option("--retrain", is_flag=True, help="Also train on angiograms with the retrain flow (10 minutes).")
def practice(patients: int, seed: int, retrain: bool) -> None:
    """Demonstrate the main job: simulate a hospital, train, promote, score, and list flagged patients."""
    from stence import registry
    from stence.database import queries

    settings = Settings()
    with _claimed(settings) as (engine, _):
        _simulate(settings, patients, seed, angiograms=retrain)
        version = _retrain(settings) if retrain else _train_for_practice(settings)
        with engine.begin() as connection:
            registry.promote(
                connection, version, by=PRACTICE_AUTHOR, why="first model of the practice hospital"
            )
        run_score_flow(settings)
        with engine.connect() as connection:
            columns, rows = queries.run(connection, "flagged_patients", {"limit": "15"})
    print_filled("Patients to review, highest risk first (stence query flagged_patients)", columns, rows)
    click.echo(
        "Patients have pseudonyms; their numbers: stence query flagged_patients --identified --why REASON"
    )


@contextmanager
def _claimed(settings: Settings) -> Iterator[tuple[Engine, ObjectStore]]:
    """Open database and store of the practice hospital; a new one gets the key that makes it reproducible."""
    from stence import database
    from stence.database.identity import use_practice_key
    from stence.objects import open_store
    from stence.practice import claim_for_practice

    has_no_key, store = find_key(settings) is None, open_store(settings.resolved_store_url, settings)
    with database.connect(settings) as engine:
        claim_for_practice(engine, store, settings)
        if has_no_key:
            use_practice_key(engine, settings)
        yield engine, store


def _simulate(settings: Settings, patients: int, seed: int, *, angiograms: bool) -> None:
    from stence.simulation import HospitalConfig
    from stence.simulation import simulate as write_hospital

    config = HospitalConfig(patients=patients, seed=seed, angiograms=angiograms)
    with _claimed(settings) as (_, store), progress_bars() as progress:
        summary = write_hospital(store, settings, config, progress)
    click.echo(summary.text())


def _simulate_days(settings: Settings, seed: int, days: int, first_day: date, fault: str | None) -> None:
    from sqlalchemy import select

    from stence.database.tables import flags
    from stence.simulation import FeedConfig, simulate_days, write_reports

    config = FeedConfig(seed=seed, days=days, first_day=first_day, fault=fault)
    with _claimed(settings) as (engine, store), progress_bars() as progress:
        ecgs = simulate_days(store, settings, config, progress)
        with engine.connect() as connection:
            flagged = set(connection.scalars(select(flags.c.patient_id)))
        examined = write_reports(store, settings, config, flagged, progress)
    click.echo(f"{ecgs:,} ECGs on {days} days, {examined:,} cath studies on the same days")


def _train_for_practice(settings: Settings) -> str:
    """The version that was trained. Raises StenceError if the gate rejected it."""
    version, state = _train(settings, PRACTICE_PRESET)
    if state == "rejected":
        raise StenceError(f"{REJECTED}; stence models card {version} says why.")
    return version


def _train(settings: Settings, preset: str) -> tuple[str, str]:
    """The version that was trained, and its state by the gate's verdict."""
    from stence import database, registry, scoring
    from stence.objects import open_store
    from stence.training import load_preset
    from stence.training import train as fit

    store = open_store(settings.resolved_store_url, settings)
    with database.connect(settings) as engine, progress_bars() as progress:
        scoring.index(engine, store, settings, progress)
        version = fit(engine, store, settings, load_preset(preset).supervised, progress)
        with engine.connect() as connection:
            return version, registry.state_of(connection, version) or ""


def _retrain(settings: Settings) -> str:
    """The version that the retrain flow created. Raises StenceError if the gate rejected it."""
    outcome = run_retrain_flow(settings, PRACTICE_PRESET)
    if outcome["outcome"] not in {"shadow", "candidate"}:
        raise StenceError(f"{REJECTED}: {'; '.join(outcome['reasons'])}")
    return str(outcome["version"])
