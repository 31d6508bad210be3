"""``stence flags``: withdraw flags of a model, a device or a day that turned out wrong, and restore them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

from stence.cli.terminal import print_table
from stence.settings import Settings

if TYPE_CHECKING:
    from stence.scoring.withdrawals import Found

BY = click.option("--by", required=True, help="Name of the person who decides.")
WHY = click.option("--why", required=True, help="The reason, for the history; without patient identifiers.")
DAY = click.DateTime(["%Y-%m-%d"])


@click.group()
def flags() -> None:
    """Flags that turned out wrong: withdraw or restore them."""


@flags.command()
@click.option("--model", help="Only flags of this model version.")
@click.option("--device", help="Only ECGs of this electrocardiograph, as flagged_patients names it.")
@click.option("--from", "first", type=DAY, help="Only ECGs that were recorded on this day or later.")
@click.option("--to", "last", type=DAY, help="Only ECGs that were recorded on this day or earlier.")
@BY
@WHY
@click.option("--yes", is_flag=True, help="Withdraw them; without it the flags are only counted.")
def withdraw(
    model: str | None,
    device: str | None,
    first: datetime | None,
    last: datetime | None,
    by: str,
    why: str,
    yes: bool,
) -> None:
    """Withdraw flags without a review that meet every option. First see their number, then repeat with --yes.

    Reviewed flags stay. Flags that wait for the return of their model are withdrawn, too.
    """
    from stence import database
    from stence.scoring import withdrawals

    if not (model or device or first or last):
        raise click.UsageError("Name a --model, a --device, or a day (--from, --to).")
    if first and last and first > last:
        raise click.UsageError("--to must not be earlier than --from.")
    settings = Settings()
    days = [moment.date() if moment else None for moment in (first, last)]
    selection = withdrawals.Selection(settings.timezone, model, device, *days)
    with database.connect(settings) as engine, engine.begin() as connection:
        found = withdrawals.find(connection, selection)
        done = withdrawals.withdraw(connection, selection, found, by=by, why=why) if yes and found else None
    _print_counts(found)
    if done:
        click.echo(f"Withdrawn by decision {done.number}; undo it with stence flags restore {done.number}.")
    elif found:
        click.echo("Nothing has changed: repeat the command with --yes to withdraw these flags.")


@flags.command()
@click.argument("decision", type=click.IntRange(1, 2**63 - 1))
@BY
@WHY
def restore(decision: int, by: str, why: str) -> None:
    """Restore the flags that DECISION withdrew, a number from stence query flag_decisions.

    Flags of a model that is not champion open when it is champion again.
    """
    from stence import database
    from stence.scoring import withdrawals

    with database.connect(Settings()) as engine, engine.begin() as connection:
        done = withdrawals.restore(connection, decision, by=by, why=why)
    click.echo(f"{done.open} flags are open again.")
    if done.wait:
        click.echo(f"{done.wait} wait until their model is champion.")
    if done.stay:
        click.echo(f"{done.stay} stay withdrawn: their ECGs have no valid score of the model at present.")


def _print_counts(found: Sequence[Found]) -> None:
    groups: dict[tuple[str, str], list[Found]] = defaultdict(list)
    for flag in found:
        groups[flag.model_version, flag.target].append(flag)
    rows = [_row(group) for _, group in sorted(groups.items())]
    patients = len({flag.patient_id for flag in found})
    title = f"{len(found)} flags of {patients} patients"
    print_table(title, ("model", "target", "flags", "open", "waiting for their model", "patients"), rows)


def _row(group: Sequence[Found]) -> tuple[object, ...]:
    opened = sum(flag.state == "open" for flag in group)
    patients = len({flag.patient_id for flag in group})
    first = group[0]
    return first.model_version, first.target, len(group), opened, len(group) - opened, patients
