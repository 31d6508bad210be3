"""``stence similar``: the cath studies most similar to an ECG."""

from __future__ import annotations

import click

from stence.cli.terminal import echo, print_table
from stence.settings import Settings


@click.command()
@click.argument("ecg_id", type=click.IntRange(1, 2**63 - 1))
@click.option("--count", default=5, show_default=True, type=click.IntRange(1, 50), help="Number of studies.")
def similar(ecg_id: int, count: int) -> None:
    """Show the training patients' cath studies most similar to ECG ECG_ID, and what was found there.

    The champion compares them in the space that it shares between ECGs and angiograms. Studies have
    pseudonyms; the ECG's own patient is never among them.
    """
    from stence import database, registry
    from stence.objects import open_store
    from stence.similar import similar_to_ecg
    from stence.similar.wording import CAUTION, COLUMNS, row_of

    settings = Settings()
    store = open_store(settings.resolved_store_url, settings)
    with database.connect(settings) as engine:
        scorer = registry.load_champion(engine, store, settings)
        found = similar_to_ecg(engine, store, settings, scorer, ecg_id, count)
    if found.reason:
        echo(f"Similar studies are not shown: {found.reason}")
        return
    rows = [row_of(study) for study in found.studies]
    print_table(f"Cath studies most similar to ECG {ecg_id}", COLUMNS, rows)
    echo(f"{CAUTION} {found.usefulness}")
