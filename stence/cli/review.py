"""``stence review``: what a person found out about a flag."""

from __future__ import annotations

import click

from stence.settings import Settings


@click.command()
@click.argument("flag_id", type=int)
@click.option("--outcome", required=True, type=click.Choice(["reviewed", "dismissed", "confirmed"]))
@click.option("--by", required=True, help="Who reviewed it.")
@click.option("--note", default=None, help="A remark, without patient identifiers.")
def review(flag_id: int, outcome: str, by: str, note: str | None) -> None:
    """Record the outcome of reviewing flag FLAG_ID."""
    from stence import database, scoring

    with database.connect(Settings()) as engine, engine.begin() as connection:
        scoring.flags.review(connection, flag_id, outcome=outcome, by=by, note=note)
    click.echo(f"Flag {flag_id} is {outcome}.")
