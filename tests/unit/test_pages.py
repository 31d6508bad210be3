"""What pages mention exists: links, commands, options, settings, paths and names of the code."""

from __future__ import annotations

import ast
import re
from urllib.parse import unquote

import pytest

from stence.cli import COMMANDS
from stence.settings import OTHERS, PREFIX, variables
from support.documents import CODE, HISTORY, LEAVES, PAGES, ROOT, options, read

page = pytest.mark.parametrize("page", PAGES)


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
    known = {f"{PREFIX}{name}" for name in (*variables(), *OTHERS)}
    assert set(re.findall(rf"{PREFIX}[A-Z0-9_]*[A-Z0-9]", read(page))) <= known


@page
def test_every_path_of_the_repository_exists(page: str) -> None:
    folders = "stence|flows|sql|deployments|tests"
    for code in CODE.findall(read(page)):
        if re.fullmatch(rf"(?:{folders})/[\w./\-*]*", code) and not re.search(r"NAME|NNNN", code):
            assert list(ROOT.glob(code.rstrip("/"))), code


@page
def test_every_name_of_the_code_exists(page: str) -> None:
    """``stence.room.module.Class.method`` and the like, or an event that automations know."""
    events = re.findall(r"stence\.\w+\.\w+", read("deployments/automations.yaml"))
    for code in CODE.findall(read(page)):
        if re.fullmatch(r"(?:stence|support)(?:\.\w+)+", code):
            assert code in events or exists(code), code


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
