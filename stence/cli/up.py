"""``stence up``: embedded Postgres, a Prefect server that lives in it, and the deployments on one machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import yaml

from stence.cli import prefect_home
from stence.errors import ConfigurationError
from stence.resources import deployments_folder
from stence.settings import Settings

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment

START_SECONDS = 180


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address the Prefect server listens on.")
@click.option("--port", default=4200, show_default=True, help="Port of the Prefect server.")
def up(host: str, port: int) -> None:
    """Serve the scheduled deployments with a Prefect UI until stopped with Ctrl-C."""
    with suppress(KeyboardInterrupt):
        serve_until_stopped(Settings(), host, port)


def serve_until_stopped(settings: Settings, host: str, port: int) -> None:
    """Start the embedded Postgres and the Prefect server, and serve; all of it ends with this call."""
    from stence import database

    with database.connect(settings) as engine:
        url = database.create_database(engine, "prefect")
        with prefect_server(settings, url, host, port) as api_url:
            prefect_home.prepare(settings)
            from prefect import serve

            deployments = described_deployments()
            click.echo(f"Prefect UI: {api_url.removesuffix('/api')}   (Ctrl-C stops)")
            # Schedules outlive this process: the next `stence up` goes on with them.
            serve(*deployments, pause_on_shutdown=False, print_starting_message=False)


@contextmanager
def prefect_server(settings: Settings, database_url: str, host: str, port: int) -> Iterator[str]:
    """Run a Prefect server whose own database is ``database_url``; yields its API address.

    Raises ConfigurationError where the port is taken, or the server did not come up.
    """
    _check_free(host, port)
    api_url = f"http://{host}:{port}/api"
    home = prefect_home.folder(settings)
    home.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": api_url,
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": database_url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    }
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", host, "--port", str(port)]
    log = home / "server.log"
    with log.open("ab") as output:
        server = subprocess.Popen(  # noqa: S603 - our own interpreter, no shell
            command, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        _wait(server, api_url, log)
        os.environ["PREFECT_API_URL"] = api_url
        (home / prefect_home.ADDRESS_FILE).write_text(api_url)
        yield api_url
    finally:
        (home / prefect_home.ADDRESS_FILE).unlink(missing_ok=True)
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()


def _check_free(host: str, port: int) -> None:
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        raise ConfigurationError(
            f"a server cannot listen on {host} port {port} ({os.strerror(error.errno or 0)}); "
            "stop what listens there, or choose another --host or --port"
        ) from error


def _wait(server: subprocess.Popen[bytes], api_url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not prefect_home.is_healthy(api_url):
        if server.poll() is not None or time.monotonic() > deadline:
            raise ConfigurationError(f"the Prefect server at {api_url} did not come up; its log: {log}")
        time.sleep(0.5)


def described_deployments() -> list[RunnerDeployment]:
    """What ``deployments/prefect.yaml`` lists."""
    described = yaml.safe_load((deployments_folder() / "prefect.yaml").read_text(encoding="utf-8"))
    return [deployment(entry) for entry in described["deployments"]]


def deployment(entry: dict[str, Any]) -> RunnerDeployment:
    """A deployment of Prefect's Runner from one entry of ``prefect.yaml``."""
    from importlib import import_module

    from prefect.client.schemas.objects import ConcurrencyLimitConfig
    from prefect.schedules import Cron
    from prefect.types.entrypoint import EntrypointType

    path, function = entry["entrypoint"].split(":")
    flow = getattr(import_module(path.removesuffix(".py").replace("/", ".")), function)
    return flow.to_deployment(
        name=entry["name"],
        description=entry["description"],
        tags=entry["tags"],
        parameters=entry["parameters"],
        schedules=[Cron(s["cron"], timezone=s["timezone"]) for s in entry["schedules"]],
        concurrency_limit=ConcurrencyLimitConfig(**entry["concurrency_limit"]),
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
