"""``stence models``: list model versions, decide on them, and read their cards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stence.cli import news
from stence.cli.terminal import echo, print_table, progress_bars
from stence.settings import Settings

if TYPE_CHECKING:
    from stence.registry import Succession

BY = click.option("--by", required=True, help="Name of the person who decides.")
WHY = click.option("--why", required=True, help="The reason, for the history.")


@click.group()
def models() -> None:
    """Model versions and their states."""


@models.command("list")
def list_versions() -> None:
    """List versions, newest first."""
    from stence import database
    from stence.database import queries

    with database.connect(Settings()) as engine, engine.connect() as connection:
        columns, rows = queries.run(connection, "model_history", {})
    print_table("Model versions", columns, rows)


@models.command()
def refusals() -> None:
    """List why models in shadow were not promoted by themselves, the last look first."""
    from stence import database
    from stence.database import queries

    with database.connect(Settings()) as engine, engine.connect() as connection:
        columns, rows = queries.run(connection, "promotion_refusals", {})
    print_table("Refused promotions", columns, rows)


@models.command()
@click.argument("version")
@BY
@WHY
@click.option("--ungated", is_flag=True, help="Allow a VERSION that no gate has judged; it is recorded.")
def promote(version: str, by: str, why: str, ungated: bool) -> None:
    """Make VERSION the champion. The previous champion retires, and its open flags are withdrawn.

    What VERSION did in shadow is printed and stored with the reason; the decision is yours. Scores of its
    time in shadow raise their flags now. With STENCE_TWO_PERSON_APPROVAL it needs an approved request.
    """
    from stence import database, registry
    from stence.training.promotion import evidence

    settings = Settings()
    with database.connect(settings) as engine, engine.begin() as connection:
        found = evidence(connection, version) if registry.champion(connection) else None
        kept = f"{why} ({found.text('shadow')})" if found else why
        done = registry.promote(
            connection, version, by=by, why=kept, ungated=ungated, two_people=settings.two_person_approval
        )
    if found:
        rows = [(check.name, check.result.value, check.finding) for check in found.checks]
        print_table("Evidence from shadow", ("check", "result", "finding"), rows)
    _tell(done, "champion", "promoted")


@models.command()
@click.argument("version")
@BY
@WHY
def request(version: str, by: str, why: str) -> None:
    """Request the promotion of VERSION, which another person approves."""
    from stence import database, registry

    if by.strip().lower() == "stence":  # whose requests may be approved from any login
        raise click.BadParameter("a person requests under their own name", param_hint="--by")
    with database.connect(Settings()) as engine, engine.begin() as connection:
        registry.request_promotion(connection, version, by=by, why=why)
    click.echo(f"Requested: another person approves it with stence models approve {version}.")
    news.tell_model(Settings(), "requested", version)


@models.command()
@click.argument("version")
@BY
@WHY
@click.option("--refuse", is_flag=True, help="Refuse the request instead.")
def approve(version: str, by: str, why: str, refuse: bool) -> None:
    """Approve the requested promotion of VERSION; then stence models promote carries it out.

    Who requested it cannot approve it: neither the same name, nor the same login of Postgres.
    """
    from stence import database
    from stence.registry import approvals

    with database.connect(Settings()) as engine, engine.begin() as connection:
        approvals.answer(connection, version, approve=not refuse, by=by, why=why)
    click.echo(f"{version} is refused." if refuse else f"Approved: stence models promote {version} is next.")


@models.command()
def requests() -> None:
    """List requests of promotions and their answers, newest first."""
    from stence import database
    from stence.database import queries

    with database.connect(Settings()) as engine, engine.connect() as connection:
        columns, rows = queries.run(connection, "promotion_requests", {})
    print_table("Requested promotions", columns, rows)


@models.command()
@click.argument("version")
@BY
@WHY
def shadow(version: str, by: str, why: str) -> None:
    """Let VERSION, a candidate, score beside the champion without flags, to gather evidence."""
    from stence import database, registry

    with database.connect(Settings()) as engine, engine.begin() as connection:
        registry.shadow(connection, version, by=by, why=why)
        others = registry.make_room(connection, version, by=by)
    click.echo(f"{version} is in shadow." + (f" Back to candidate: {', '.join(others)}." if others else ""))
    news.tell_model(Settings(), "shadow", version)


@models.command()
@click.argument("version")
@BY
@WHY
def reject(version: str, by: str, why: str) -> None:
    """Reject VERSION, a candidate or shadow, permanently."""
    from stence import database, registry

    with database.connect(Settings()) as engine, engine.begin() as connection:
        registry.reject(connection, version, by=by, why=why)
    click.echo(f"{version} is rejected.")
    news.tell_model(Settings(), "rejected", version)


@models.command()
@click.argument("version")
@BY
@WHY
@click.option("--form", help="Measure and choose this one. Default: the fastest within the bounds.")
def optimise(version: str, by: str, why: str, form: str | None) -> None:
    """Measure numeric forms of VERSION on this host, and choose the one that it scores in.

    Each form is compared with fp32 on the model's validation patients. A form that changes the scores by more
    than the bounds of the model's training configuration is refused.
    """
    from stence import database
    from stence.objects import open_store
    from stence.training.forms import optimise as measure

    settings = Settings()
    store = open_store(settings.resolved_store_url, settings)
    with database.connect(settings) as engine:
        measured = measure(engine, store, settings, version, form=form, by=by, why=why)
    columns = ("form", "speed", "largest change", "rank correlation", "flags changed", "result")
    print_table(f"Forms of {version}", columns, [each.row() for each in measured])


@models.command()
@BY
@WHY
def rollback(by: str, why: str) -> None:
    """Make the previous champion the champion again.

    Open flags of the model that leaves are withdrawn; those of the previous champion open again.
    """
    from stence import database, registry

    with database.connect(Settings()) as engine, engine.begin() as connection:
        done = registry.rollback(connection, by=by, why=why)
    _tell(done, "champion again", "rolled_back")


@models.command()
@click.argument("version")
@click.option(
    "--save",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the card into this folder, as Markdown with its pictures and as one HTML page.",
)
def card(version: str, save: Path | None) -> None:
    """Print VERSION's model card, or save it."""
    from stence import database, registry
    from stence.objects import open_store

    settings = Settings()
    store = open_store(settings.resolved_store_url, settings)
    with database.connect(settings) as engine, engine.connect() as connection:
        files = registry.read_card(connection, store, version)
    if save is None:
        for name in ("origin.md", "card.md"):
            if name in files:
                echo(files[name].decode(errors="replace"))
        return
    save.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (save / name).write_bytes(content)
    click.echo(f"The card is in {save / 'card.html'}.")


@models.command("export")
@click.argument("version")
@click.argument("file", type=click.Path(path_type=Path))
def export_version(version: str, file: Path) -> None:
    """Write VERSION and its card into FILE, for another hospital. Nothing of a patient is in it."""
    from stence import database, registry
    from stence.database import audit
    from stence.objects import open_store

    settings = Settings()
    store = open_store(settings.resolved_store_url, settings)
    with database.connect(settings) as engine, engine.begin() as connection:
        registry.export_model(connection, store, version, file)
        audit.record(connection, "model.exported", version, by="stence", why="stence models export")
    click.echo(f"{version} is in {file}: stence models import there.")


@models.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@BY
@WHY
def import_version(file: Path, by: str, why: str) -> None:
    """Take the model of FILE, which another hospital trained and exported, into shadow.

    It is validated on this hospital's patients with cath reports, if there are any, and rejected if it fails.
    It never becomes champion by itself.
    """
    from stence import database, registry
    from stence.objects import open_store
    from stence.validation import judge_imported

    settings = Settings()
    store = open_store(settings.resolved_store_url, settings)
    with database.connect(settings) as engine, progress_bars() as progress:
        with engine.begin() as connection:
            version = registry.import_model(connection, store, settings, file, by=by, why=why)
        verdict = judge_imported(engine, store, settings, version, progress)
        with engine.begin() as connection:
            state = registry.judge(connection, version, verdict)
            if state == "shadow":
                registry.make_room(connection, version, by=by)
    echo(f"{version} is {state}. {verdict.text('the validation on own patients')}")
    news.tell_model(settings, state, version)


def _tell(done: Succession, what: str, change: str) -> None:
    opened = f" {done.opened} of its flags are open now." if done.opened else ""
    left = f" {done.withdrawn} open flags of the former champion were withdrawn." if done.withdrawn else ""
    click.echo(f"{done.version} is {what}.{opened}{left}")
    news.tell_model(Settings(), change, done.version, opened=done.opened, withdrawn=done.withdrawn)
