"""``stence explain``, ``inspect``, ``pages`` and ``ward-list``: pages of ECGs for people who review them."""

from __future__ import annotations

from pathlib import Path

import click

from stence.cli.terminal import echo, print_table, progress_bars
from stence.settings import Settings

OUTPUT = click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the page into this file."
)


@click.command()
@click.argument("ecg_id", type=click.IntRange(1, 2**63 - 1))
@OUTPUT
def explain(ecg_id: int, output: Path | None) -> None:
    """Write the page of ECG ECG_ID, a number from stence query flagged_patients: drawing, score, and why.

    Without --output the page goes into the file ecg-ECG_ID.html. It names the patient.
    """
    from stence import database, registry
    from stence.explain import explain_ecg
    from stence.objects import open_store

    settings = Settings()
    store = open_store(settings.resolved_store_url, settings)
    with database.connect(settings) as engine:
        scorer = registry.load_champion(engine, store, settings)
        made = explain_ecg(engine, store, settings, scorer, ecg_id)
    path = output or Path(f"ecg-{ecg_id}.html")
    path.write_bytes(made.content)
    deletion = made.explanation.deletion
    if deletion:
        verdict = "the marks are shown" if deletion.passed else "no marks are shown"
        click.echo(
            f"Without the marks the log-odds fall by {deletion.marked:.2f}, without random parts by up to "
            f"{max(deletion.random):.2f}: {verdict}."
        )
    click.echo(f"The page of ECG {ecg_id} is in {path}.")


@click.command()
@click.argument("place", metavar="FILE|KEY")
@OUTPUT
@click.option("--open", "in_browser", is_flag=True, help="Open the page in the browser.")
@click.option("--show-patient", is_flag=True, help="Show the patient's number, here and on the page.")
def inspect(place: str, output: Path | None, in_browser: bool, show_patient: bool) -> None:
    """Show what an ECG is without a score: FILE here, or else the KEY of an object in the store.

    It prints what was read and what the quality check finds, and writes a page with the drawing. Without
    --output the page goes into a file named after the ECG.
    """
    from stence.explain import inspect_file, inspect_object
    from stence.objects import open_store

    settings, file = Settings(), Path(place)
    if file.exists() or file.with_name(f"{file.name}.hea").exists():
        found = inspect_file(file, settings, show_patient=show_patient)
    else:
        store = open_store(settings.resolved_store_url, settings)
        found = inspect_object(store, place, settings, show_patient=show_patient)
    for name, words in found.facts(show_patient=show_patient).items():
        echo(f"{name}: {words}")
    echo(found.verdict)
    for finding in found.findings:
        echo(f"  {finding.reason}: {finding.detail}")
    path = output or Path(f"{file.stem}.html")
    path.write_text(found.html, encoding="utf-8")
    echo(f"The page is in {path}.")
    if in_browser:
        click.launch(str(path))


@click.command()
def pages() -> None:
    """Write the pages of flagged ECGs that have none yet into the store, and the list for the ward round."""
    from stence import database, registry
    from stence.explain import write_pages, write_ward_list
    from stence.objects import open_store

    settings = Settings()
    store = open_store(settings.resolved_store_url, settings)
    with database.connect(settings) as engine, progress_bars() as progress:
        scorer = registry.load_champion(engine, store, settings)
        counts = write_pages(engine, store, settings, scorer, progress)
        written = write_ward_list(engine, store, settings)
    print_table("Pages of flagged ECGs", ("what", "count"), [tuple(row.values()) for row in counts.table()])
    click.echo(f"The list is in the store under {written.key}.")


@click.command()
@click.option("--site", help="Only ECGs of this site.")
@OUTPUT
def ward_list(site: str | None, output: Path | None) -> None:
    """Write the patients to review as one printable page, for a ward round.

    Without --output the page goes into the file ward-list.html. It names patients.
    """
    from stence import database
    from stence.explain import ward_list as page_of

    settings, path = Settings(), output or Path("ward-list.html")
    with database.connect(settings) as engine, engine.connect() as connection:
        html, patients = page_of(connection, settings, site)
    path.write_text(html, encoding="utf-8")
    click.echo(f"{patients} patients are in {path}.")
