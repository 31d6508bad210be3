"""``stence up``: embedded Postgres, a Prefect server with its database there, and the deployments."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import click

from stence import private
from stence.cli import prefect_home
from stence.cli.prefect_home import RunningServer
from stence.cli.prefect_server import prefect_server
from stence.errors import ConfigurationError
from stence.files import try_lock
from stence.settings import Settings


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address the Prefect server listens on.")
@click.option("--port", default=4200, show_default=True, help="Port of the Prefect server.")
@click.option(
    "--name",
    "names",
    multiple=True,
    help="A further host name of the server, such as a proxy's. Repeat the option for several names.",
)
def up(host: str, port: int, names: tuple[str, ...]) -> None:
    """Serve the scheduled deployments with a Prefect UI until stopped with Ctrl-C."""
    with suppress(KeyboardInterrupt):
        serve_until_stopped(Settings(), host, port, names)


def serve_until_stopped(settings: Settings, host: str, port: int, names: Sequence[str] = ()) -> None:
    """Start the embedded Postgres and the Prefect server, and serve. Everything ends with this call.

    Raises ConfigurationError if another ``stence up`` uses the data folder, or if the server cannot run.
    """
    from stence import database

    with alone(settings), database.connect(settings) as engine:
        auth, made = prefect_home.auth_string(settings)
        url = database.create_database(engine, "prefect")
        with prefect_server(settings, url, host, port, names) as server:
            prefect_home.prepare(settings)
            if made:
                shown = f": {auth}" if sys.stdout.isatty() else ""  # a service's output goes to a log
                click.echo(f"The UI asks for a password, stored in {prefect_home.auth_file(settings)}{shown}")
            serve(server, settings.timezone)


def serve(server: RunningServer, timezone: str) -> None:
    """Serve the deployments, with schedules in the zone ``timezone``.

    Before and after this call, no run is open and no slot is occupied.

    Raises ConfigurationError if the server ends by itself.
    """
    from prefect.states import Cancelled, Crashed

    from stence.cli import dead_runs, serving

    if closed := dead_runs.close(Crashed(message="The stence up of this run was killed.")):
        click.echo(f"Closed {closed} runs that an earlier stence up left open.")
    click.echo(f"Prefect UI: {server.api_url.removesuffix('/api')}   (Ctrl-C stops)")
    asked = serving.serve(serving.described_deployments(timezone), lambda: server.process is not None)
    if server.process is not None:
        dead_runs.close(Cancelled(message="stence up was stopped."))
    elif not asked:
        raise ConfigurationError(f"the Prefect server at {server.api_url} ended by itself; see server.log")


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """Hold the data folder's lock. The kernel releases the lock whenever this process ends.

    Raises ConfigurationError if another process holds the lock.
    """
    file = prefect_home.make_folder(settings) / "up.lock"
    with private.open_lock(file) as lock:
        if not try_lock(lock):
            raise ConfigurationError(
                f"another stence up (process {lock.read().strip() or 'unknown'}) serves {settings.data_dir}: "
                "stop that one, or set STENCE_DATA_DIR to another folder"
            )
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
