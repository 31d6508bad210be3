"""``stence alerts``: list, acknowledge and resolve the alerts of monitoring."""

from __future__ import annotations

import click

from stence.cli.terminal import echo, print_table
from stence.settings import Settings

BY = click.option("--by", required=True, help="Name of the person.")
NOTE = click.option("--note", default=None, help="A remark, without patient identifiers.")


@click.group()
def alerts() -> None:
    """Alerts of monitoring: list, acknowledge and resolve them."""


@alerts.command("list")
@click.option("--all", "everything", is_flag=True, help="Include resolved alerts.")
def list_alerts(everything: bool) -> None:
    """List open and acknowledged alerts with the action for each, most severe first."""
    from stence import database
    from stence.database import queries

    with database.connect(Settings()) as engine, engine.connect() as connection:
        if everything:
            print_table("Alerts", *queries.run(connection, "alert_history", {}))
            return
        columns, rows = queries.run(connection, "alerts_open", {})
    *short, _ = columns
    print_table("Alerts", short, [row[:-1] for row in rows])
    for number, *_, detail in rows:
        echo(f"\n{number}  {detail}")


@alerts.command()
@click.argument("alert_id", type=int)
@BY
@NOTE
def acknowledge(alert_id: int, by: str, note: str | None) -> None:
    """Acknowledge alert ALERT_ID. It stays until its condition is gone, and is not raised again."""
    from stence import database
    from stence.monitoring import alerts as library

    with database.connect(Settings()) as engine, engine.begin() as connection:
        library.acknowledge(connection, alert_id, by=by, note=note)
    click.echo(f"Alert {alert_id} is acknowledged.")


@alerts.command()
@click.argument("alert_id", type=int)
@BY
@NOTE
def resolve(alert_id: int, by: str, note: str | None) -> None:
    """Resolve alert ALERT_ID. It is raised again if its condition holds on a later day."""
    from stence import database
    from stence.monitoring import alerts as library

    with database.connect(Settings()) as engine, engine.begin() as connection:
        library.resolve(connection, alert_id, by=by, note=note)
    click.echo(f"Alert {alert_id} is resolved.")
