"""SQL by name: ready queries for people (``sql/queries``) and the library's statements (``sql/statements``).

A ready query is a psql script. Its parameters are written ``:'name'``; a line
``\\if :{?name} \\else \\set name value \\endif`` gives a default. Values are bound, never inserted as text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, TextClause, any_, literal, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import DataError

from stence.database.words import cause_of
from stence.errors import ConfigurationError
from stence.resources import sql_folder

DEFAULT = re.compile(
    r"^\\if :\{\?(?P<name>\w+)\} \\else \\set (?P=name) (?P<value>.+) \\endif$", re.MULTILINE
)
META_COMMAND = re.compile(r"^\\.*$", re.MULTILINE)
PARAMETER = re.compile(r":'(\w+)'")


def among(column: Column[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """Return the condition that ``column`` is one of ``values``, however many.

    They are one parameter, an array: with ``in_`` each is one, and Postgres takes 65,535 of them.
    """
    return column == any_(literal(list(values), ARRAY(column.type)))


def available() -> list[tuple[str, str]]:
    """List the ready queries: name and description, which is the first comment line of the file."""
    return [(path.stem, _first_line(path)) for path in sorted(_folder("queries").glob("*.sql"))]


def run(
    connection: Connection, name: str, params: Mapping[str, str]
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Run the ready query ``name``. Return its column names and rows.

    Raises ConfigurationError for an unknown query, and for parameters that are unknown, missing or malformed.
    """
    read = script(name)
    defaults = {found["name"]: found["value"].strip("'") for found in DEFAULT.finditer(read)}
    wanted = dict.fromkeys(PARAMETER.findall(META_COMMAND.sub("", read)))
    values = defaults | dict(params)
    if unknown := sorted(params.keys() - wanted.keys()):
        raise ConfigurationError(
            f"Query {name} has no parameter {', '.join(unknown)}; it has: {', '.join(wanted) or 'none'}."
        )
    if missing := [parameter for parameter in wanted if parameter not in values]:
        raise ConfigurationError(
            f"Query {name} needs a value: " + " ".join(f"--param {parameter}=…" for parameter in missing)
        )
    statement = text(PARAMETER.sub(r":\1", META_COMMAND.sub("", read)))
    try:
        result = connection.execute(statement, values)
    except DataError as error:
        cause = cause_of(error)
        raise ConfigurationError(f"Query {name}: {cause and cause.diag.message_primary}") from None
    return list(result.keys()), [tuple(row) for row in result]


def script(name: str) -> str:
    """Return the psql script of the ready query ``name``. Raises ConfigurationError for an unknown query."""
    return _read("queries", name)


@lru_cache
def statement(name: str) -> TextClause:
    """Return the library's statement ``name``, with ``:parameter`` to bind."""
    return text(_read("statements", name))


def _read(kind: str, name: str) -> str:
    path = _folder(kind) / f"{name}.sql"
    if path.parent != _folder(kind) or not path.is_file():
        raise ConfigurationError(f"There is no query {name!r}; available: {', '.join(_names(kind))}.")
    return path.read_text(encoding="utf-8")


def _names(kind: str) -> list[str]:
    return sorted(path.stem for path in _folder(kind).glob("*.sql"))


def _folder(kind: str) -> Path:
    return sql_folder() / kind


def _first_line(path: Path) -> str:
    with path.open(encoding="utf-8") as lines:
        return next(lines).removeprefix("--").strip()
