"""``stence convert``: ECGs for research, under pseudonyms."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from stence.cli.terminal import print_table
from stence.settings import Settings


@click.command()
@click.argument("keys", metavar="KEY...", nargs=-1, required=True)
@click.option("--to", required=True, type=click.Choice(["wfdb", "dicom"]), help="Format to write.")
@click.option(
    "--output",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="A new or empty folder for the files.",
)
@click.option("--with-times", is_flag=True, help="Keep the time of the recording.")
@click.option("--with-statements", is_flag=True, help="Keep the electrocardiograph's statements.")
def convert(
    keys: tuple[str, ...],
    to: Literal["wfdb", "dicom"],
    output: Path,
    with_times: bool,
    with_statements: bool,
) -> None:
    """Write ECGs KEY of the store for research: signal, sex and age, under the patient's pseudonym.

    Nothing else is kept but what the options name. Ages above 90 become 90. An ECG that cannot be scored is
    named with its reason and not written; the exit code is then 1.
    """
    from stence import database
    from stence.export.research import Contents, convert
    from stence.objects import open_store

    settings = Settings()
    store = open_store(settings.resolved_store_url, settings)
    contents = Contents(to, with_times, with_statements)
    with database.connect(settings) as engine:
        outcomes = list(convert(engine, store, settings, keys, output, contents))
    refused = [(each.key, each.refusal.reason, each.refusal.detail) for each in outcomes if each.refusal]
    click.echo(f"{len(outcomes) - len(refused)} of {len(outcomes)} ECGs are in {output}.")
    if refused:
        print_table("Not converted", ("key", "reason", "detail"), refused)
        raise click.exceptions.Exit(1)
