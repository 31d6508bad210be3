"""``stence review``: record the verdict on a flagged ECG."""

from __future__ import annotations

import click

from stence.settings import Settings


@click.command()
@click.argument("ecg_id", type=click.IntRange(1, 2**63 - 1))
@click.option("--outcome", required=True, type=click.Choice(["confirmed", "dismissed"]))
@click.option("--by", required=True, help="Name of the reviewer.")
@click.option("--note", default=None, help="A remark, without patient identifiers.")
def review(ecg_id: int, outcome: str, by: str, note: str | None) -> None:
    """Record a verdict on ECG ECG_ID, a number from stence query flagged_patients."""
    from stence import database, scoring

    with database.connect(Settings()) as engine, engine.begin() as connection:
        number = scoring.reviews.review(connection, ecg_id, outcome=outcome, by=by, note=note)
    click.echo(f"ECG {ecg_id} is {outcome} (review {number}).")
