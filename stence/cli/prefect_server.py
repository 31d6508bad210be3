"""The Prefect server of ``stence up``: start, access, and end."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from stence.cli import prefect_home
from stence.cli.prefect_home import RunningServer
from stence.errors import ConfigurationError
from stence.settings import Settings

START_SECONDS, STOP_SECONDS = 180, 20
LOOPBACK = ("127.0.0.1", "localhost")


@contextmanager
def prefect_server(
    settings: Settings, database_url: str, host: str, port: int, names: Sequence[str] = ()
) -> Iterator[RunningServer]:
    """Run a Prefect server on the database ``database_url``, for clients that know its password.

    Requests must name loopback, ``host`` or one of ``names`` as their host. This process becomes a client of
    the server. A server that a killed ``stence up`` of this data folder left behind is ended first. Raises
    ConfigurationError if the port is taken, or if the server does not start.
    """
    end_leftover(settings)
    _check_free(host, port)
    auth, _ = prefect_home.auth_string(settings)
    log = prefect_home.make_folder(settings) / "server.log"
    api_url = f"http://{LOOPBACK[0] if is_wildcard(host) else host}:{port}/api"
    hosts = sorted({*LOOPBACK, host, *names, *(own_names() if is_wildcard(host) else [])})
    command = [sys.executable, "-m", "stence.cli.prefect_app", str(os.getpid()), host, str(port), *hosts]
    with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter, no shell
            command,
            env=_environment(settings, database_url, api_url, auth),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = RunningServer(api_url, auth, process.pid, psutil.Process(process.pid).create_time())
    try:
        prefect_home.record(settings, server)
        _wait(process, api_url, log)
        prefect_home.use(server)
        yield server
    finally:
        _end(psutil.Process(process.pid) if process.poll() is None else None)
        process.wait()
        prefect_home.forget(settings)


def end_leftover(settings: Settings) -> None:
    """End the server that a killed ``stence up`` of this data folder left behind, and no other server."""
    left = prefect_home.recorded(settings)
    if left is not None:
        _end(left.process)
        prefect_home.forget(settings)


def is_wildcard(host: str) -> bool:
    """True for an address that means all addresses of this machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def own_names() -> list[str]:
    """Names and addresses of this machine on the network."""
    name = socket.gethostname()
    addresses = [str(each.address) for found in psutil.net_if_addrs().values() for each in found]
    return [name, socket.getfqdn(), *(each for each in addresses if ":" not in each)]


def _environment(settings: Settings, database_url: str, api_url: str, auth: str) -> dict[str, str]:
    """The server's settings. The UI calls the API by a path, so that no other origin needs access."""
    return {
        "PREFECT_SERVER_UI_API_URL": "/api",
        **os.environ,
        "PREFECT_HOME": str(prefect_home.folder(settings)),
        "PREFECT_API_URL": api_url,
        "PREFECT_API_AUTH_STRING": auth,
        "PREFECT_SERVER_API_AUTH_STRING": auth,
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": api_url.removesuffix("/api"),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": database_url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    }


def _check_free(host: str, port: int) -> None:
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        raise ConfigurationError(
            f"a server cannot listen on {host} port {port} ({os.strerror(error.errno or 0)}); "
            "stop the process that listens there, or choose another --host or --port"
        ) from error


def _wait(process: subprocess.Popen[bytes], api_url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not prefect_home.is_healthy(api_url):
        if process.poll() is not None or time.monotonic() > deadline:
            raise ConfigurationError(f"the Prefect server at {api_url} did not start; its log: {log}")
        time.sleep(0.5)


def _end(process: psutil.Process | None) -> None:
    """Ask a server to stop, and kill it after ``STOP_SECONDS``."""
    if process is None:
        return
    try:
        process.send_signal(signal.SIGINT)  # the server blocks SIGTERM
        process.wait(STOP_SECONDS)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(STOP_SECONDS)
    except psutil.NoSuchProcess:
        return
