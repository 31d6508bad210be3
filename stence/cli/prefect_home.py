"""Prefect's settings for commands that run flows; must be applied before Prefect is imported."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from stence import private
from stence.settings import Settings

ADDRESS_FILE = "api_url"


def prepare(settings: Settings) -> None:
    """Prefect's files in the data folder, its analytics off, and the server of ``stence up`` if it runs."""
    home = folder(settings)
    private.make_data_folder(settings.data_dir)
    private.make_folder(home)
    defaults = {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
    }
    address = running_server(settings)
    defaults |= {"PREFECT_API_URL": address} if address else {"PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true"}
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def folder(settings: Settings) -> Path:
    """Where Prefect keeps its own files."""
    return settings.data_dir / "prefect"


def running_server(settings: Settings) -> str | None:
    """The API address that ``stence up`` left, if a server answers there."""
    file = folder(settings) / ADDRESS_FILE
    if not file.is_file():
        return None
    address = file.read_text().strip()
    return address if is_healthy(address) else None


def is_healthy(api_url: str) -> bool:
    """Whether a Prefect server answers at ``api_url``."""
    try:
        with urlopen(f"{api_url}/health", timeout=2) as answer:  # noqa: S310 - our own loopback address
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
