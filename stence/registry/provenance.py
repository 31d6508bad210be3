"""The code and the libraries that a model was made with."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version as version_of
from pathlib import Path

import stence

LIBRARIES = ("numpy", "numba", "scipy", "torch")
"""Those that a score's digits depend on."""


def libraries() -> dict[str, str]:
    """Versions of Python and of the libraries that matter."""
    return {"python": platform.python_version()} | {name: version_of(name) for name in LIBRARIES}


def git_commit() -> str | None:
    """The commit of the clone that runs, with ``-dirty`` where files differ from it; None outside a clone."""
    root = Path(stence.__file__).parents[1]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return None
