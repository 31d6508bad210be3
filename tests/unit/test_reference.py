"""The pages tell what the code does: commands, settings, reasons, states, views, encoders, promises, places.

A table is compared with the code in both directions; a link, path, command, option, setting or name of the
code that a page mentions exists.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import click
import pytest
import yaml
from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from stence.angiography.reasons import Reason as AngiogramReason
from stence.cli import COMMANDS, main
from stence.database import queries
from stence.database.tables.scoring import FLAG_STATES, MODEL_STATES
from stence.ecg.reasons import WARNINGS
from stence.ecg.reasons import Reason as EcgReason
from stence.encoders import ENCODERS
from stence.encoders.recipes import PUBLISHED
from stence.ingest.reports import StudyFault
from stence.ingest.tables import FileFault, RowFault
from stence.settings import OTHERS, PREFIX, Settings
from stence.weights import IMPORTABLES

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
CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
UNSET = {"embedded", "local folder", "AWS", "boto3's own", "shipped"}
"""Words for a default that is decided elsewhere."""
HISTORY = "deployments/CHANGELOG.md"
"""It may name what was given up."""

page = pytest.mark.parametrize("page", PAGES)


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
    fields = {f"{PREFIX}{name.upper()}": field for name, field in Settings.model_fields.items()}
    assert listed.keys() == fields.keys()
    for name, field in fields.items():
        assert field.description
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


@cache
def parsed(path: str) -> ast.Module:
    return ast.parse(read(path))


# --- what pages mention


def without_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(path: str) -> set[str]:
    """The anchors of a page, as GitHub makes them."""
    found: dict[str, int] = {}
    for title in re.findall(r"^#+ (.+)$", without_blocks(read(path)), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
        name = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        found[name] = found.get(name, -1) + 1
    return {name if not n else f"{name}-{n}" for name, last in found.items() for n in range(last + 1)}


@page
def test_every_link_leads_somewhere(page: str) -> None:
    text = re.sub(r"(?<!`)`[^`\n]+`(?!`)", "", without_blocks(read(page)))
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    for link in links:
        if not re.match(r"https?:", link):
            place, _, anchor = unquote(link).partition("#")
            target = (ROOT / page).parent / place if place else ROOT / page
            assert target.exists(), link
            inside = target / "README.md" if target.is_dir() else target
            if anchor:
                assert anchor in anchors(str(inside.resolve().relative_to(ROOT))), link


@page
def test_every_command_and_option_exists(page: str) -> None:
    """Of what stands as code, or in a block of it, and begins with ``stence``."""
    if page == HISTORY:
        return
    blocks = re.findall(r"^ {4}\S.*$", read(page), re.MULTILINE)
    spoken = [*CODE.findall(read(page)), *blocks]
    calls = [found for code in spoken for found in re.findall(r"(?:^ *|bin/)stence ([^|;&#`]+)", code)]
    assert calls or not page.startswith(("README", "deployments"))
    for call in calls:
        words = call.split()
        command = next((name for name in (" ".join(words[:2]), words[0]) if name in LEAVES), None)
        if command is None:
            assert words[0] in COMMANDS or words[0] in {"…", "--version"}, call
            continue
        used = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert used <= options(LEAVES[command]) | {"--help"}, call


@page
def test_every_setting_that_is_named_exists(page: str) -> None:
    known = {f"{PREFIX}{name.upper()}" for name in (*Settings.model_fields, *OTHERS)}
    assert set(re.findall(rf"{PREFIX}[A-Z0-9_]*[A-Z0-9]", read(page))) <= known


@page
def test_every_path_of_the_repository_exists(page: str) -> None:
    folders = "stence|flows|sql|deployments|tests"
    for code in CODE.findall(read(page)):
        if re.fullmatch(rf"(?:{folders})/[\w./\-*]*", code) and not re.search(r"NAME|NNNN", code):
            assert list(ROOT.glob(code.rstrip("/"))), code


@page
def test_every_name_of_the_code_exists(page: str) -> None:
    """``stence.room.module.Class.method`` and the like."""
    for code in CODE.findall(read(page)):
        if re.fullmatch(r"(?:stence|flows|support)(?:\.\w+)+", code):
            assert exists(code), code


def exists(dotted: str) -> bool:
    """Whether a module, or what is defined in one, has this name; nothing is imported."""
    base = ROOT / "tests" if dotted.startswith("support.") else ROOT
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        place = base.joinpath(*parts[:length])
        for path in (place.with_suffix(".py"), place / "__init__.py"):
            if path.is_file():
                return defines(ast.parse(path.read_text(encoding="utf-8")).body, parts[length:])
    return False


def defines(body: list[ast.stmt], parts: list[str]) -> bool:
    """Whether ``parts``, a name and names within it, is defined or imported in a body."""
    if not parts:
        return True
    for node in body:
        match node:
            case ast.ClassDef(name=name, body=inner) if name == parts[0]:
                return defines(inner, parts[1:])
            case ast.FunctionDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)) if name == parts[0]:
                return len(parts) == 1
            case ast.Assign(targets=targets) if parts[0] in {
                t.id for t in targets if isinstance(t, ast.Name)
            }:
                return len(parts) == 1
            case ast.ImportFrom(names=imported) if parts[0] in {i.asname or i.name for i in imported}:
                return len(parts) == 1
    return False


# --- the page for those who change the code


def test_the_map_has_every_floor_in_its_order() -> None:
    settings = tomllib.loads(read("pyproject.toml"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    floors = [set(re.split(r"[|:]", layer.replace(" ", ""))) for layer in layers]
    table = rows(section("tests/README.md", "## The map"))
    assert [set(names(cells[0])) for cells in table] == floors


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
