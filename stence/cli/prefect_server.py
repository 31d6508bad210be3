"""Our Prefect servers, that of ``stence up`` and one for the time of a command: start, access, and end."""

from __future__ import annotations

import atexit
import ipaddress
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from stence.cli import prefect_home
from stence.cli.prefect_home import RunningServer
from stence.errors import ConfigurationError
from stence.settings import Settings

START_SECONDS, STOP_SECONDS = 180, 20
LOOPBACK = ("127.0.0.1", "localhost")
FOR_ALL, FOR_ONE = "for-all", "for-one"
"""Whom a server serves: with UI and schedules, or only the runs of the command that started it."""


def ensure_server(settings: Settings) -> None:
    """Make this process a client of a Prefect server: the configured one, that of ``stence up``, or its own.

    Its own server keeps the runs in a file in Prefect's folder. It has a password, as every server of ours,
    and ends with this process. Call this before Prefect is imported. Raises ConfigurationError if the server
    does not start.
    """
    prefect_home.prepare(settings)
    if not os.environ.get("PREFECT_API_URL"):
        server = ExitStack()
        server.enter_context(_temporary_server(settings))
        atexit.register(server.close)  # Prefect's own exit functions, registered later, run before


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
    api_url = f"http://{LOOPBACK[0] if is_wildcard(host) else host}:{port}/api"
    hosts = sorted({*LOOPBACK, host, *names, *(own_names() if is_wildcard(host) else [])})
    own = {**prefect_home.environment(settings), "PREFECT_SERVER_DATABASE_CONNECTION_URL": database_url}
    environment = {"PREFECT_SERVER_UI_API_URL": "/api", **os.environ, **own, **_access(api_url, auth)}
    with _serving(settings, environment, FOR_ALL, host, port, hosts) as process:
        server = RunningServer(api_url, auth, process.pid, psutil.Process(process.pid).create_time())
        try:
            prefect_home.record(settings, server)
            _wait(process, api_url, _log(settings))
            prefect_home.use(server)
            yield server
        finally:
            prefect_home.forget(settings)


@contextmanager
def _temporary_server(settings: Settings) -> Iterator[None]:
    """Run a server without UI, schedules and deployments, and make this process its client."""
    port = _free_port()
    api_url, auth = f"http://{LOOPBACK[0]}:{port}/api", f"stence:{secrets.token_urlsafe(24)}"
    os.environ.setdefault("PREFECT_UI_URL", "")  # else the log would name a page for each run
    environment = {**os.environ, **_access(api_url, auth)}
    with _serving(settings, environment, FOR_ONE, LOOPBACK[0], port, LOOPBACK) as process:
        _wait(process, api_url, _log(settings))
        prefect_home.use(RunningServer(api_url, auth, process.pid, psutil.Process(process.pid).create_time()))
        yield


@contextmanager
def _serving(
    settings: Settings, environment: Mapping[str, str], kind: str, host: str, port: int, names: Sequence[str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the server's process, which also ends if this process is killed. It writes to ``server.log``."""
    arguments = [str(os.getpid()), kind, host, str(port), *names]
    log = os.open(_log(settings), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with open(log, "ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter, no shell
            [sys.executable, "-m", "stence.cli.prefect_app", *arguments],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _end(psutil.Process(process.pid) if process.poll() is None else None)
        process.wait()


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


def _access(api_url: str, auth: str) -> dict[str, str]:
    """How clients reach the server, and with which password. Pages of another origin need no access."""
    return {
        "PREFECT_API_URL": api_url,
        "PREFECT_API_AUTH_STRING": auth,
        "PREFECT_SERVER_API_AUTH_STRING": auth,
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": api_url.removesuffix("/api"),
    }


def _log(settings: Settings) -> Path:
    return prefect_home.make_folder(settings) / "server.log"


def _free_port() -> int:
    with socket.create_server((LOOPBACK[0], 0)) as listening:
        return int(listening.getsockname()[1])


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
        time.sleep(0.1)


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
