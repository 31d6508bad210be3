"""Prefect's files in the data folder, and its settings, which must be set before Prefect is imported.

``auth`` holds the password that ``stence up`` created for its server. ``server.json`` describes the running
server. Only the account of stence may read them: with the password, anybody can run code as stence.
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

from stence import discretion, orphans, private
from stence.errors import ConfigurationError
from stence.settings import Settings

AUTH_FILE, RECORD_FILE = "auth", "server.json"
OPERATORS_AUTH = "PREFECT_SERVER_API_AUTH_STRING"
CLOCK_STEP_SECONDS = 5.0
"""Tolerance for start times of processes: they follow the system's clock, which may have been set."""


class RunningServer(NamedTuple):
    """The Prefect server of ``stence up``: API address, password, and process."""

    api_url: str
    auth: str
    pid: int
    created: float

    @property
    def process(self) -> psutil.Process | None:
        """The server's process if it lives. A later process with the same number does not count."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < CLOCK_STEP_SECONDS
        except psutil.Error:
            return None
        return process if same and orphans.is_alive(process) else None


def environment(settings: Settings) -> dict[str, str]:
    """Prefect's settings for stence: its folder, no analytics, old runs deleted, no results on disk."""
    return {
        "PREFECT_HOME": str(make_folder(settings)),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
    }


def prepare(settings: Settings) -> None:
    """Set Prefect's environment where it is not set, and the server of ``stence up`` if it runs."""
    for name, value in environment(settings).items():
        os.environ.setdefault(name, value)
    if os.environ.get("PREFECT_API_URL"):
        return
    if server := running_server(settings):
        use(server)


def use(server: RunningServer) -> None:
    """Make Prefect in this process and its child processes a client of ``server``."""
    discretion.hide(server.auth)
    os.environ |= {"PREFECT_API_URL": server.api_url, "PREFECT_API_AUTH_STRING": server.auth}
    os.environ.pop("PREFECT_API_KEY", None)  # Prefect would send the key instead of the password


def folder(settings: Settings) -> Path:
    """Prefect's own folder."""
    return settings.data_dir / "prefect"


def auth_file(settings: Settings) -> Path:
    """The file of the password that stence created."""
    return folder(settings) / AUTH_FILE


def make_folder(settings: Settings) -> Path:
    """Create Prefect's folder if it is missing, closed to other accounts, and return it."""
    home = folder(settings)
    private.make_data_folder(settings.data_dir)
    private.make_folder(home)
    return home


def auth_string(settings: Settings) -> tuple[str, bool]:
    """Return the server's password, ``user:password``, and True if it was created now.

    The operator's password in the environment comes first. Otherwise stence creates a password and keeps it
    between starts. Raises ConfigurationError for a password that Prefect would not check.
    """
    operators = os.environ.get(OPERATORS_AUTH)
    if operators is not None:
        if not all(operators.partition(":")):
            raise ConfigurationError(
                f"{OPERATORS_AUTH} is not of the form user:password. Without a password anybody on this host "
                "could run code as stence. Set one, or unset the variable and let stence create a password."
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
    """Record the running server, for other commands and for the next ``stence up``."""
    _write(make_folder(settings) / RECORD_FILE, json.dumps(server._asdict()))


def forget(settings: Settings) -> None:
    """Delete the record of the running server."""
    (folder(settings) / RECORD_FILE).unlink(missing_ok=True)


def recorded(settings: Settings) -> RunningServer | None:
    """The last recorded server, alive or not; None without a complete record."""
    try:
        return RunningServer(**json.loads((folder(settings) / RECORD_FILE).read_text()))
    except (FileNotFoundError, TypeError, ValueError):
        return None


def running_server(settings: Settings) -> RunningServer | None:
    """The server of ``stence up`` if it runs. No other process on its port is sent the password."""
    server = recorded(settings)
    return server if server and server.process and is_healthy(server.api_url) else None


def is_healthy(api_url: str) -> bool:
    """True if a Prefect server answers at ``api_url``. This request needs no password."""
    try:
        with urlopen(f"{api_url}/health", timeout=2) as answer:  # noqa: S310 - our own loopback address
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _write(file: Path, text: str) -> None:
    """Write a file atomically, readable for this account only."""
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as output:
        output.write(text)
    new.replace(file)
