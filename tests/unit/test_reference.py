"""The reference tells what the code does: its tables are compared with the code in both directions."""

from __future__ import annotations

import ast
import re
import tomllib
from importlib import import_module
from typing import Any

import click
import pytest
import yaml
from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from stence import ecg
from stence.angiography.reasons import Reason as AngiogramReason
from stence.cli import COMMANDS, main
from stence.database import queries
from stence.database.tables.scoring import FLAG_STATES, MODEL_STATES
from stence.domain.machine import usable_cores
from stence.ecg import formats
from stence.ecg.formats import _MODULES
from stence.ecg.reasons import WARNINGS
from stence.ecg.reasons import Reason as EcgReason
from stence.ecg.recipes import PUBLISHED
from stence.encoders import ENCODERS
from stence.ingest.reports import StudyFault
from stence.ingest.tables import FileFault, RowFault
from stence.settings import PREFIX, variables
from stence.weights import IMPORTABLES
from support.documents import CODE, HISTORY, LEAVES, PAGES, ROOT, named, names, parsed, read, rows, section
from support.samples import samples

UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
UNSET = {
    "embedded",
    "the usual",
    "local folder",
    "AWS",
    "boto3's own",
    "shipped",
    "none",
    "pseudonyms",
    "drawn once",
}
"""Words for a default that is decided elsewhere."""

# --- tables


def test_quick_start_holds_exactly_the_two_commands() -> None:
    blocks = re.findall(r"```sh\n(.*?)```", section("README.md", "## Quick start"), re.DOTALL)
    assert len(blocks) == 2
    assert "stence practice" in blocks[0]
    assert "pytest" in blocks[1]


def test_the_commands_are_those_of_the_command_line() -> None:
    listed = [
        name.removeprefix("stence ") for name in named(section("deployments/REFERENCE.md", "## Commands"))
    ]
    assert sorted(listed) == sorted(LEAVES)


@pytest.mark.parametrize("name", [*LEAVES, *COMMANDS])
def test_every_command_has_help(name: str) -> None:
    command = LEAVES.get(name) or main.get_command(click.Context(main), name)
    assert command is not None
    assert command.help


def test_the_settings_are_those_of_the_code_with_their_defaults() -> None:
    listed = {}
    for cells in rows(section("deployments/REFERENCE.md", "## Settings")):
        for name in names(cells[0]):
            assert name not in listed
            listed[name] = cells[1]
    fields = {f"{PREFIX}{name}": field for name, field in variables().items()}
    assert listed.keys() == fields.keys()
    for name, field in fields.items():
        assert field.description
        if field.default_factory is usable_cores:
            assert listed[name] == "one a core"
            continue
        assert field.default is not PydanticUndefined
        assert default_in(listed[name]) == plain(field.default), name


def default_in(cell: str) -> Any:
    """The default in a cell: code as it stands, a number with or without a unit, or None for a word."""
    if code := names(cell):
        return code[0]
    if cell in UNSET:
        return None
    number, _, unit = cell.partition(" ")
    return str(int(number) * UNITS[unit] if unit else number)


def plain(default: Any) -> str | None:
    """A default as the environment would hold it."""
    assert not isinstance(default, SecretStr)
    if default is None:
        return None
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:g}" if isinstance(default, float) else str(default)


@pytest.mark.parametrize(
    ("heading", "codes"),
    [
        ("## Why an ECG is in quarantine", [*EcgReason]),
        ("## Why an angiogram is in quarantine", [*AngiogramReason]),
        ("## Why a row cannot be used", [*RowFault, *FileFault, *StudyFault, "row_two_patients"]),
    ],
)
def test_the_reasons_are_those_of_the_code(heading: str, codes: list[str]) -> None:
    assert sorted(named(section("deployments/REFERENCE.md", heading))) == sorted(map(str, codes))


def test_the_warnings_stand_by_themselves() -> None:
    below = section("deployments/REFERENCE.md", "## Why an ECG is in quarantine").split("warnings.")[1]
    assert set(named(below)) == set(map(str, WARNINGS))


def test_sql_names_known_reasons_only() -> None:
    """A reason may also stand in a statement, as that of a conflict of patients does."""
    for path in ROOT.glob("sql/**/*.sql"):
        text = path.read_text(encoding="utf-8")
        compared = re.findall(r"\breason\s*(?:=|IN)\s*\(?((?:'[a-z_]+'(?:,\s*)?)+)", text)
        used = {code for found in compared for code in re.findall(r"'([a-z_]+)'", found)}
        assert used <= {*map(str, EcgReason), *map(str, AngiogramReason)}, path


def test_the_states_are_those_of_the_tables() -> None:
    found = rows(section("deployments/REFERENCE.md", "## States"))
    by_kind = {
        kind: [state for cells in found if cells[0] == kind for state in names(cells[1])]
        for kind in ("a model", "a flag")
    }
    assert sorted(by_kind["a model"]) == sorted(MODEL_STATES)
    assert sorted(by_kind["a flag"]) == sorted(FLAG_STATES)
    assert sorted(named(section("stence/registry/README.md", "## States"))) == sorted(MODEL_STATES)


def test_the_formats_are_those_of_the_code_and_have_a_sample() -> None:
    found = [names(cells[1])[0] for cells in rows(section("deployments/REFERENCE.md", "## ECG formats"))]
    assert sorted(found) == sorted([*_MODULES, "wfdb", "tables", "archives"])
    tried = {ecg.decode(sample.name, sample.files).format for sample in samples()}
    assert tried == {"WFDB", *(import_module(f"{formats.__name__}.{name}").NAME for name in _MODULES)}


def test_the_encoders_are_those_of_the_code_and_their_weights_can_be_imported() -> None:
    found = rows(section("deployments/REFERENCE.md", "## Which encoder"))
    assert {names(cells[0])[0] for cells in found} == ENCODERS.keys()
    assert {names(cells[4])[0] for cells in found} <= IMPORTABLES.keys()
    with_recipe = {names(cells[0])[0] for cells in found if not cells[7].startswith("not stated")}
    assert with_recipe == PUBLISHED.keys()


def test_the_views_are_those_of_the_folder() -> None:
    views = section("sql/README.md", "## Views")
    assert sorted(named(views)) == sorted(path.stem for path in ROOT.glob("sql/views/*.sql"))


def test_the_queries_are_those_of_the_folder_with_their_questions() -> None:
    listed = {
        names(cells[0])[0]: cells[1]
        for cells in rows(section("deployments/REFERENCE.md", "## Ready queries"))
    }
    assert listed == dict(queries.available())


def test_every_query_that_a_page_names_is_in_the_folder() -> None:
    there = {name for name, _ in queries.available()}
    used = {
        name for path in PAGES if path != HISTORY for name in re.findall(r"stence query (\w+)", read(path))
    }
    assert used - {"NAME"} <= there


def test_the_files_of_deployments_are_all_described() -> None:
    described = {name.rstrip("/") for name in named(read("deployments/README.md").split("\n## ")[0])}
    there = {path.name for path in (ROOT / "deployments").iterdir()} - {"README.md", "__pycache__"}
    assert described == there


# --- promises


def promises() -> list[str]:
    return [
        promise.rstrip(".")
        for promise in re.findall(
            r"^- \*\*(.+?)\*\*", section("README.md", "## What it promises"), re.MULTILINE
        )
    ]


def test_each_promise_stands_in_full_and_has_its_tests() -> None:
    in_full = re.findall(
        r"^- \*\*(.+?)\*\*",
        section("deployments/REFERENCE.md", "## What it promises, in full"),
        re.MULTILINE,
    )
    tested = [cells[0] for cells in rows(section("tests/README.md", "## Promises"))]
    assert promises() == [promise.rstrip(".") for promise in in_full] == tested


@pytest.mark.parametrize("test", named(section("tests/README.md", "## Promises"), 1))
def test_the_test_of_a_promise_exists(test: str) -> None:
    path, _, name = test.partition("::")
    functions = {node.name for node in parsed(path).body if isinstance(node, ast.FunctionDef)}
    assert name in functions


# --- the page for those who change the code


def test_the_map_has_every_floor_in_its_order() -> None:
    settings = tomllib.loads(read("pyproject.toml"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    floors = [set(re.split(r"[|:]", layer.replace(" ", ""))) for layer in layers]
    table = rows(section("tests/README.md", "## The map"))
    assert [set(names(cells[0])) for cells in table] == floors


@pytest.mark.slow
def test_what_the_lists_name_is_in_the_code() -> None:
    """A constant, function, view, statement or marker that a list names, or the files that must change."""
    paths = [path for folder in ("stence", "flows", "tests", "sql") for path in (ROOT / folder).rglob("*")]
    texts = [path.read_text(encoding="utf-8") for path in paths if path.suffix in {".py", ".sql", ".yaml"}]
    known = {word for text in texts for word in re.findall(r"\w+", text)} | {path.stem for path in paths}
    for code in CODE.findall(section("tests/README.md", "## How to add")):
        if re.fullmatch(r"_?[A-Za-z]\w*[A-Za-z0-9]", code) and code not in {"NAME", "mypy"}:
            assert code in known, code


def test_the_example_of_a_test_is_one() -> None:
    (path, word) = re.findall(
        r"`\.venv/bin/pytest (\S+) -k (\w+)`", section("tests/README.md", "## The loop")
    )[0]
    functions = [node.name for node in parsed(path).body if isinstance(node, ast.FunctionDef)]
    assert any(word in name for name in functions)


def test_what_runs_before_a_commit_is_what_ci_runs() -> None:
    hooks = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    assert [repository["repo"] for repository in hooks] == ["local"]
    entries = [hook["entry"] for repository in hooks for hook in repository["hooks"]]
    assert all(hook["language"] == "system" for repository in hooks for hook in repository["hooks"])
    [checks] = [line for line in read(".ci/run").splitlines() if "ruff check" in line]
    assert [entry.split()[:2] for entry in entries] == [
        [word for word in command.split() if word != "."][:2] for command in checks.split(" && ")
    ]
