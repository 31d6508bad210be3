"""``stence validate``: measure a frozen model on patients that it did not learn from."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from stence.cli.terminal import echo, print_table, progress_bars
from stence.settings import Settings

DAY = click.DateTime(["%Y-%m-%d"])
SHOWN = ("auroc", "calibration_slope", "observed_to_expected", "positive_predictive_value")
"""Metrics in the terminal; the report has more."""
COUNTS = ("patients", "patients_with", "patients_without")


@click.command()
@click.argument("version")
@click.option("--since", type=DAY, help="First day of the cath studies; else from the first on.")
@click.option("--until", type=DAY, help="Day after the last day of the studies; else up to the last.")
@click.option("--site", "sites", multiple=True, help="Only ECGs of this site; may be given several times.")
@click.option(
    "--trained-elsewhere", is_flag=True, help="VERSION learned from no patient of this database: use all."
)
@click.option(
    "--save", type=click.Path(dir_okay=False, path_type=Path), help="Also write the page into this file."
)
def validate(
    version: str,
    since: datetime | None,
    until: datetime | None,
    sites: tuple[str, ...],
    trained_elsewhere: bool,
    save: Path | None,
) -> None:
    """Measure VERSION, as it is, on later or other-site patients that it did not learn from.

    The report follows TRIPOD+AI: one HTML page and its figures as JSON, in the store and in the database.
    """
    from stence import database
    from stence.objects import open_store
    from stence.validation import ValidationConfig
    from stence.validation import validate as run
    from stence.validation.words import conclusions, figure, reason_text

    if since and until and since >= until:
        raise click.UsageError("--until must be later than --since.")
    config = ValidationConfig(
        since=since.date() if since else None,
        until=until.date() if until else None,
        sites=sites,
        trained_elsewhere=trained_elsewhere,
    )
    settings = Settings()
    store = open_store(settings.resolved_store_url, settings)
    with database.connect(settings) as engine, progress_bars() as progress:
        done = run(engine, store, settings, version, config, progress)
    flow = done.figures["flow"]
    rows = [(reason_text(reason), count) for reason, count in flow["ecgs"]["left_out"].items()]
    total = [("candidates", flow["ecgs"]["candidates"]), *rows, ("used", flow["ecgs"]["used"])]
    print_table(f"ECGs of {flow['patients']['used']} patients", ("ECGs", "number"), total)
    measured = [
        (name, *(of[count] for count in COUNTS), *(figure(of.get(key)) for key in SHOWN))
        for name, of in done.figures["targets"].items()
    ]
    print_table(f"{version} on patients that it did not learn from", ("target", *COUNTS, *SHOWN), measured)
    echo("\n".join(conclusions(done.figures)))
    click.echo("Of cath-lab patients with a report in the window, not of all whose ECGs are scored.")
    if save is not None:
        save.write_bytes(done.page)
    click.echo(f"The report is in the store under {done.report_key}" + (f" and in {save}." if save else "."))
