"""The pages, their tables, and the command line that they describe."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click

from stence.cli import main

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    "README.md",
    "deployments/README.md",
    "deployments/REFERENCE.md",
    "deployments/CHANGELOG.md",
    "sql/README.md",
    "tests/README.md",
    "tests/benchmarks/README.md",
    "tests/data/README.md",
    "stence/registry/README.md",
    "stence/simulation/README.md",
    "stence/study/README.md",
    "stence/labels/README.md",
)
HISTORY = "deployments/CHANGELOG.md"
"""It may name what was given up."""
CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


@cache
def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def section(path: str, heading: str) -> str:
    """What stands below a heading, up to the next one of its level or higher."""
    mark, _, _ = heading.partition(" ")
    rest = read(path).split(f"\n{heading}\n", 1)[1]
    return re.split(rf"\n#{{1,{len(mark)}}} ", rest)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of all tables in a text, without heads."""
    found, in_head = [], True
    for line in text.splitlines():
        if not line.startswith("|"):
            in_head = True
        elif re.fullmatch(r"[|\-: ]+", line):
            in_head = False
        elif not in_head:
            found.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))])
    return found


def names(cell: str) -> list[str]:
    """What stands as code in a cell."""
    return CODE.findall(cell)


def named(text: str, column: int = 0) -> list[str]:
    """What stands as code in a column of the tables of a text."""
    return [name for row in rows(text) for name in names(row[column])]


def leaves(group: click.Group = main, before: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with its words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from leaves(command, (*before, name))
        else:
            yield " ".join((*before, name)), command


def options(command: click.Command) -> set[str]:
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


LEAVES = dict(leaves())


@cache
def parsed(path: str) -> ast.Module:
    return ast.parse(read(path))
