"""``stence doctor``: check each part, and explain failures."""

from __future__ import annotations

import platform
import shutil
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING

import click

from stence import private
from stence.cli.terminal import echo
from stence.errors import StenceError
from stence.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from stence.objects import ObjectStore

LOW_DISK_GIB = 5
CLOCK_LIMIT_SECONDS = 5.0
BREAK_PREFECT = {
    "fastapi": ("0.155", "prevent the Prefect 3.8 server from starting"),
    "sqlalchemy": ("2.1", "prevent Prefect 3.8 from planning scheduled runs"),
}


class Unwell(Exception):
    """A part does not work. The text says what to do."""


@click.command()
def doctor() -> None:
    """Check the installation, the database, the store, the device and the champion model."""
    from stence import database

    settings = Settings()
    with ExitStack() as until_the_end:
        engine = cache(lambda: until_the_end.enter_context(database.connect(settings)))
        checks = [
            _check("packages", packages),
            _check("data folder", lambda: data_folder(settings)),
            _check("device", lambda: device(settings)),
            _check("object store", lambda: object_store(settings)),
            _check("database", lambda: postgres(engine())),
            _check("roles", lambda: roles(engine(), settings)),
            _check("listings", lambda: listings(engine(), settings)),
            _check("champion", lambda: champion(engine(), settings)),
            _check("score runs", lambda: score_runs(engine(), settings)),
            _check("similar studies", lambda: similar_studies(engine())),
        ]
    if not all(checks):
        raise click.ClickException("some parts need attention, see above")


def _check(name: str, run: Callable[[], str]) -> bool:
    try:
        echo(f"ok    {name}: {run()}")
    except (Unwell, StenceError) as error:
        echo(f"FAIL  {name}: {error}")
        return False
    return True


def packages() -> str:
    """Versions of the main packages; fails for combinations that are known to break."""
    for name, (limit, harm) in BREAK_PREFECT.items():
        if _numbers(version(name)) >= _numbers(limit):
            raise Unwell(
                f"{name} {version(name)}: versions from {limit} {harm}; "
                "pip install -c deployments/constraints.txt ."
            )
    names = ("stence", "torch", "prefect", "sqlalchemy", "wfdb", "pydicom")
    return f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in names)


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split(".")[:2])


def data_folder(settings: Settings) -> str:
    """Free space of the data folder; fails if other accounts have access."""
    try:
        private.make_data_folder(settings.data_dir)
    except OSError as error:
        raise Unwell(f"{settings.data_dir} cannot be made ({error.strerror}); set STENCE_DATA_DIR") from error
    free = shutil.disk_usage(settings.data_dir).free / 2**30
    if free < LOW_DISK_GIB:
        raise Unwell(f"only {free:.1f} GiB free in {settings.data_dir}; free some or set STENCE_DATA_DIR")
    if private.rights_of_others(settings.data_dir):
        raise Unwell(
            f"{settings.data_dir} is open to other accounts of this host; chmod go= it, or set "
            "STENCE_DATA_DIR to a folder of the account that runs stence"
        )
    return f"{settings.data_dir}, {free:.0f} GiB free, closed to other accounts"


def device(settings: Settings) -> str:
    """The device that models run on."""
    import torch

    if settings.device == "cuda" and not torch.cuda.is_available():
        raise Unwell("STENCE_DEVICE=cuda, but torch sees no GPU: check the driver and the torch build")
    if settings.device != "cpu" and torch.cuda.is_available():
        return f"CUDA, {torch.cuda.get_device_name()}"
    return f"CPU, {torch.get_num_threads()} threads"


def object_store(settings: Settings) -> str:
    """Write, read and delete a test object."""
    from stence.objects import open_store
    from stence.practice import is_marked

    store: ObjectStore = open_store(settings.resolved_store_url, settings)
    key, data = f"{settings.model_prefix}.doctor-{uuid.uuid4().hex}", b"stence doctor"
    store.put(key, data)
    try:
        if store.get(key) != data:
            raise Unwell(f"{store.url} returned bytes that differ from the written bytes")
    finally:
        store.delete(key)
    first = next(iter(store.list(settings.ecg_prefix)), None)
    remark = "" if first else f"; nothing below {settings.ecg_prefix} yet (STENCE_ECG_PREFIX)"
    if is_marked(store):
        remark += "; marked for practice: its objects are simulated"
    return f"{store.url} reads and writes{remark}"


def postgres(engine: Engine) -> str:
    """Versions of server and schema; fails if the server's clock differs from this machine's."""
    from sqlalchemy import text

    from stence.database import migrate
    from stence.database.server import is_pooled

    with engine.connect() as connection:
        row = connection.execute(text("SELECT current_setting('server_version'), clock_timestamp()")).one()
        way = ", through a pool of sessions" if is_pooled(connection) else ""
    skew = abs(row[1].timestamp() - time.time())
    if skew > CLOCK_LIMIT_SECONDS:
        raise Unwell(f"the server's clock differs from this machine's by {skew:.0f} s: set up NTP on both")
    return f"Postgres {row[0]}, schema {migrate.current_revision(engine)}{way}"


def roles(engine: Engine, settings: Settings) -> str:
    """As whom the flows act; warns of a login with more rights than they need on a hospital's server."""
    from stence.database import queries

    with engine.connect() as connection:
        acts_as, login, excess = connection.execute(queries.statement("excess_rights")).one()
    remark = f"the flows act as {acts_as}, with the login {login}"
    if excess and settings.database_url is not None:
        remark += f", which is {excess}: give them one that is a member of stence_writer alone"
    return remark


def listings(engine: Engine, settings: Settings) -> str:
    """Extent of an index, and time since the last full one; fails if that is overdue."""
    from stence.ingest.listing import last_full

    if settings.listing == "full":
        return "each index lists everything"
    with engine.connect() as connection:
        last = last_full(connection, settings)
    if last is None:
        return f"{settings.listing}, after a first full one"
    hours = (datetime.now(UTC) - last).total_seconds() / 3600
    if hours > 2 * settings.full_listing_hours:
        raise Unwell(
            f"the last full one ended {hours:.0f} h ago, {settings.full_listing_hours:g} h are set: ECGs in "
            "older folders stay unseen; look at the last ingest and score runs"
        )
    return f"{settings.listing}; the last full one ended {hours:.1f} h ago"


def champion(engine: Engine, settings: Settings) -> str:
    """The champion's version; fails if its files are missing or altered."""
    from stence import registry
    from stence.objects import open_store

    store = open_store(settings.resolved_store_url, settings)
    scorer = registry.load_champion(engine, store, settings)
    return f"{scorer.model_version}, files match their SHA-256"


def score_runs(engine: Engine, settings: Settings) -> str:
    """Time since the last score run; fails if the alert rules say that runs are missing."""
    from stence.evaluation.watched import watched_models
    from stence.monitoring import liveness

    found = liveness.findings(engine, settings, datetime.now(UTC), watched_models(engine))
    for finding in found:
        if finding.holds:
            raise Unwell(finding.detail)
    return (
        f"{found[0].value:.1f} h since the last run finished, or the champion was promoted"
        if found
        else "none is due yet"
    )


def similar_studies(engine: Engine) -> str:
    """Number of studies to compare ECGs with, or what pgvector needs; nothing else depends on it."""
    from sqlalchemy import func, select

    from stence import similar
    from stence.database.tables import study_embeddings

    with engine.connect() as connection:
        if reason := similar.hindrance(connection):
            return f"unavailable, everything else works: {reason}"
        count = connection.scalar(select(func.count()).select_from(study_embeddings))
    return f"{count} embeddings of training studies"
