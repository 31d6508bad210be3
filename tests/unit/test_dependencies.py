"""What is imported is declared, and what is declared is imported or has a reason; extras are named."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from stence import __version__, dependencies
from stence.angiography.backbones import open_backbone
from stence.angiography.decoding import Decoder
from stence.errors import ConfigurationError
from support.documents import ROOT, read

PROJECT = tomllib.loads(read("pyproject.toml"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
IN_CLONE = [path for folder in ("stence", "flows") for path in (ROOT / folder).rglob("*.py")]


def canonical(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(each).name) for each in requirements}


def imports(path: Path) -> set[str]:
    """Top names that a file imports when it runs, not those for type checkers alone."""
    found, waiting = set(), [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        waiting += ast.iter_child_nodes(node)
    return {name.partition(".")[0] for name in found} - sys.stdlib_module_names - {"stence"}


@pytest.fixture(scope="module")
def imported() -> set[str]:
    """Canonical names of the distributions that the code imports."""
    known = packages_distributions()
    names = set().union(*map(imports, IN_CLONE))
    return {canonicalize_name(known[name][0]) for name in names}


def test_what_is_imported_is_declared(imported: set[str]) -> None:
    assert imported <= canonical(PROJECT["dependencies"] + EXTRAS["training"] + EXTRAS["cpu"])


def test_what_is_declared_is_imported_or_has_a_reason(imported: set[str]) -> None:
    lines = {
        canonicalize_name(found[1]): found[2]
        for found in re.finditer(r'^  "([\w-]+)[^"]*",? *(#.*)?$', read("pyproject.toml"), re.MULTILINE)
    }
    declared = canonical(PROJECT["dependencies"] + EXTRAS["training"] + EXTRAS["cpu"])
    assert [name for name in declared - imported if not lines[name]] == []


def test_the_modules_of_an_extra_are_imported_on_use(imported: set[str]) -> None:
    """No host without the extra meets them when stence starts."""
    known, extras = packages_distributions(), canonical(EXTRAS["training"] + EXTRAS["cpu"])
    for path in IN_CLONE:
        tops = [
            node for node in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(node, ast.Import | ast.ImportFrom)
        ]  # fmt: skip
        names = {name for node in tops for name in imports_of(node)} & known.keys()
        assert {canonicalize_name(known[name][0]) for name in names}.isdisjoint(extras), path


def imports_of(node: ast.Import | ast.ImportFrom) -> set[str]:
    names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names]
    return {name.partition(".")[0] for name in names}


def lacking(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = dependencies.installed
    monkeypatch.setattr(dependencies, "installed", lambda wanted: None if wanted == name else found(wanted))


def test_a_scoring_host_is_told_the_extra_for_angiograms(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking("pylibjpeg-openjpeg", monkeypatch)
    assert dependencies.missing("training") == ["pylibjpeg-openjpeg"]
    with pytest.raises(
        ConfigurationError, match=r"lacks pylibjpeg-openjpeg: pip install 'stence\[training\]'"
    ):
        Decoder(seconds=1, memory_bytes=1)


def test_a_scoring_host_is_told_the_extra_for_dinov2(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking("transformers", monkeypatch)
    with pytest.raises(ConfigurationError, match=r"dinov2-vits14 needs the extra 'training'"):
        open_backbone("dinov2-vits14", store=None, settings=None, device="cpu")


def test_nothing_of_an_extra_is_missing_here() -> None:
    assert [name for extra in dependencies.EXTRAS for name in dependencies.missing(extra)] == []


def test_the_version_is_that_of_the_changelog() -> None:
    assert re.findall(r"^## (\S+) — ", read("deployments/CHANGELOG.md"), re.MULTILINE)[0] == __version__


def test_the_missing_licence_is_said_where_people_look() -> None:
    assert not list(ROOT.glob("LICEN[CS]E*"))
    assert "license" not in PROJECT
    for page in ("pyproject.toml", "README.md"):
        assert re.search(r"no licence is chosen yet", read(page), re.IGNORECASE), page
