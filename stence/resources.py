"""Resource folders ``sql`` and ``deployments``, in the wheel or in the repository."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent


def sql_folder() -> Path:
    """Return the folder with ``migrations``, ``views``, ``queries`` and ``statements``."""
    return _folder("sql")


def deployments_folder() -> Path:
    """Return the folder with ``prefect.yaml``."""
    return _folder("deployments")


def _folder(name: str) -> Path:
    packaged = PACKAGE / name
    return packaged if packaged.is_dir() and any(packaged.iterdir()) else PACKAGE.parent / name
