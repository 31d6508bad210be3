"""``stence review`` and ``stence snooze``: what a person says of a flagged ECG and its patient."""

from __future__ import annotations

from datetime import datetime

import click

from stence.settings import Settings

ECG_ID = click.argument("ecg_id", type=click.IntRange(1, 2**63 - 1))


@click.command()
@ECG_ID
@click.option("--outcome", required=True, type=click.Choice(["confirmed", "dismissed"]))
@click.option("--by", required=True, help="Name of the reviewer.")
@click.option("--note", default=None, help="A remark, without patient identifiers.")
def review(ecg_id: int, outcome: str, by: str, note: str | None) -> None:
    """Record a verdict on ECG ECG_ID, a number from stence query flagged_patients."""
    from stence import database, scoring

    with database.connect(Settings()) as engine, engine.begin() as connection:
        number = scoring.reviews.review(connection, ecg_id, outcome=outcome, by=by, note=note)
    click.echo(f"ECG {ecg_id} is {outcome} (review {number}).")


@click.command()
@ECG_ID
@click.option("--until", required=True, type=click.DateTime(["%Y-%m-%d"]), help="Last day off the list.")
@click.option("--by", required=True, help="Name of the person who decides.")
@click.option("--why", required=True, help="The reason, for the history; without patient identifiers.")
def snooze(ecg_id: int, until: datetime, by: str, why: str) -> None:
    """Take the patient of ECG ECG_ID off the list until a day; a past day brings the patient back."""
    from stence import database, scoring

    with database.connect(Settings()) as engine, engine.begin() as connection:
        number = scoring.reviews.snooze(connection, ecg_id, until=until.date(), by=by, why=why)
    click.echo(f"The patient of ECG {ecg_id} is off the list up to {until:%Y-%m-%d} (snooze {number}).")
