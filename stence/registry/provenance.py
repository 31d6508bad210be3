"""Versions of the code and libraries that trained a model."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version as version_of
from pathlib import Path

import stence

LIBRARIES = ("numpy", "numba", "scipy", "torch")
"""Libraries that affect the digits of a score."""


def libraries() -> dict[str, str]:
    """Return the versions of Python and of LIBRARIES."""
    return {"python": platform.python_version()} | {name: version_of(name) for name in LIBRARIES}


def git_commit() -> str | None:
    """Return the commit of the running clone, with ``-dirty`` if files differ; None outside a clone."""
    root = Path(stence.__file__).parents[1]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return None
