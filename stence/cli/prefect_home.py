"""Prefect's files in the data folder, and its settings, which must be applied before Prefect is imported.

``auth`` holds the password that ``stence up`` made for its server, ``server.json`` says which server runs.
Both are for the account of stence alone: whoever has the password can have code run as stence.
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import NamedTuple
from urllib.error import URLError
from urllib.request import urlopen

import psutil

from stence import orphans, private
from stence.errors import ConfigurationError
from stence.settings import Settings

AUTH_FILE, RECORD_FILE = "auth", "server.json"
OPERATORS_AUTH = "PREFECT_SERVER_API_AUTH_STRING"
CLOCK_STEP_SECONDS = 5.0
"""A process' start is told by the system's clock, which may have been set since."""


class RunningServer(NamedTuple):
    """The Prefect server of ``stence up``: address of its API, password, and which process it is."""

    api_url: str
    auth: str
    pid: int
    created: float

    @property
    def process(self) -> psutil.Process | None:
        """Its process, if it lives; a later one of the same number is another."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < CLOCK_STEP_SECONDS
        except psutil.Error:
            return None
        return process if same and orphans.is_alive(process) else None


def prepare(settings: Settings) -> None:
    """Prefect's files in the data folder, its analytics off, and the server of ``stence up`` if it runs."""
    home = make_folder(settings)
    defaults = {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    if "PREFECT_API_URL" in os.environ:
        return
    if server := running_server(settings):
        use(server)
    else:
        os.environ.setdefault("PREFECT_SERVER_ALLOW_EPHEMERAL_MODE", "true")


def use(server: RunningServer) -> None:
    """Make Prefect in this process, and in those that it starts, a client of ``server``."""
    os.environ |= {"PREFECT_API_URL": server.api_url, "PREFECT_API_AUTH_STRING": server.auth}
    os.environ.pop("PREFECT_API_KEY", None)  # Prefect would send this in the password's place


def folder(settings: Settings) -> Path:
    """Where Prefect keeps its own files."""
    return settings.data_dir / "prefect"


def auth_file(settings: Settings) -> Path:
    """Where the password that stence made is kept."""
    return folder(settings) / AUTH_FILE


def make_folder(settings: Settings) -> Path:
    """Return that folder, made where it is missing, closed to other accounts."""
    home = folder(settings)
    private.make_data_folder(settings.data_dir)
    private.make_folder(home)
    return home


def auth_string(settings: Settings) -> tuple[str, bool]:
    """Return the server's password, ``user:password``, and whether it was made just now.

    It is the operator's, where the environment has one, else one of stence's own, kept between starts.
    Raises ConfigurationError for one that Prefect would not ask for.
    """
    operators = os.environ.get(OPERATORS_AUTH)
    if operators is not None:
        if not all(operators.partition(":")):
            raise ConfigurationError(
                f"{OPERATORS_AUTH} is not of the form user:password. Without a password anybody on this host "
                "could have code run as stence: set one, or unset the variable and stence makes one itself."
            )
        return operators, False
    make_folder(settings)
    file = auth_file(settings)
    if file.is_file() and (kept := file.read_text().strip()):
        file.chmod(0o600)
        return kept, False
    made = f"stence:{secrets.token_urlsafe(24)}"
    _write(file, made)
    return made, True


def record(settings: Settings, server: RunningServer) -> None:
    """Leave word for other commands, and for the next ``stence up``, of which server runs."""
    _write(make_folder(settings) / RECORD_FILE, json.dumps(server._asdict()))


def forget(settings: Settings) -> None:
    """Take that word back."""
    (folder(settings) / RECORD_FILE).unlink(missing_ok=True)


def recorded(settings: Settings) -> RunningServer | None:
    """The server that was recorded last, whether it lives or not; None for a record that was cut off."""
    try:
        return RunningServer(**json.loads((folder(settings) / RECORD_FILE).read_text()))
    except (FileNotFoundError, TypeError, ValueError):
        return None


def running_server(settings: Settings) -> RunningServer | None:
    """The server of ``stence up``, if it runs: nobody else's that took its port is sent the password."""
    server = recorded(settings)
    return server if server and server.process and is_healthy(server.api_url) else None


def is_healthy(api_url: str) -> bool:
    """Return True if a Prefect server answers at ``api_url``; it asks for no password here."""
    try:
        with urlopen(f"{api_url}/health", timeout=2) as answer:  # noqa: S310 - our own loopback address
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _write(file: Path, text: str) -> None:
    """Write a file whole, for this account alone."""
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as output:
        output.write(text)
    new.replace(file)
