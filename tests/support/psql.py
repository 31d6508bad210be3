"""Ready queries as psql answers them."""

from __future__ import annotations

import csv
import io
import subprocess
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import make_url

from stence.database.embedded import programs
from stence.resources import sql_folder
from stence.settings import Settings


def in_psql(settings: Settings, name: str, params: Mapping[str, str]) -> list[dict[str, str]]:
    """The rows of the ready query ``name``, as psql prints them."""
    assert settings.database_url is not None
    url = make_url(settings.database_url.get_secret_value())
    command = [programs() / "psql", "-X", "-q", "--csv", "-v", "ON_ERROR_STOP=1", "-d", str(url)]
    command += [part for key, value in params.items() for part in ("-v", f"{key}={value}")]
    done = subprocess.run(
        [*command, "-f", sql_folder() / "queries" / f"{name}.sql"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader(io.StringIO(done.stdout)))


def as_read(printed: list[dict[str, str]], like: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of psql's with cells of the types that the driver made of the same cells."""
    return [
        {column: _as_read(cell, mine[column]) for column, cell in row.items()}
        for row, mine in zip(printed, like, strict=True)
    ]


def _as_read(value: str, like: Any) -> Any:
    if like is None:
        return value or None
    if isinstance(like, bool):
        return value == "t"
    if isinstance(like, datetime | date):
        return type(like).fromisoformat(value)
    if isinstance(like, list):
        return [part for part in value.strip("{}").split(",") if part]
    return type(like)(value)
