"""Packages of a hospital's own that bear the names of our folders."""

from __future__ import annotations

from pathlib import Path

NAMES = ("flows", "deployments", "sql", "tests")


def add_strangers(folder: Path) -> Path:
    """Put packages into ``folder`` whose import is an error, and a ``prefect.yaml`` that is not ours."""
    for name in NAMES:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise SystemExit('a package of the hospital ran')\n")
    (folder / "flows/score.py").write_text("raise SystemExit('a flow of the hospital ran')\n")
    (folder / "deployments/prefect.yaml").write_text("deployments: []\n")
    (folder / "sql/queries").mkdir()
    return folder
