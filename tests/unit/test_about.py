"""The bill of materials and the licences are those of what is installed here."""

from __future__ import annotations

import json
from importlib.metadata import Distribution, PathDistribution, version
from pathlib import Path

import pytest
from click.testing import CliRunner
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from stence import dependencies
from stence.cli import main


def said(*arguments: str) -> str:
    done = CliRunner(env={"COLUMNS": "200"}).invoke(main, ["about", *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def bill() -> str:
    return said("--sbom")


def test_the_bill_of_materials_is_valid(bill: str) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill) is None


def test_the_bill_names_what_is_needed_and_nothing_else(bill: str) -> None:
    found = {each["name"]: each["version"] for each in json.loads(bill)["components"]}
    for name in ("numpy", "torch", "prefect", "transformers", "h2", "psycopg-binary"):
        assert found[name] == version(name)
    assert found.keys().isdisjoint({"stence", "pytest", "ruff", "pip"})


def test_the_bill_tells_what_needs_what(bill: str) -> None:
    held = json.loads(bill)
    edges = {each["ref"]: each["dependsOn"] for each in held["dependencies"]}
    own = held["metadata"]["component"]["bom-ref"]
    names = {ref.rpartition("@")[0] for ref in edges[own]}
    assert {"pkg:pypi/torch", "pkg:pypi/transformers"} <= names
    assert {ref for needs in edges.values() for ref in needs} <= edges.keys()


def test_each_dependency_has_a_line_with_its_licence() -> None:
    table = said("--licences")
    for name in ("numpy", "edfio", "wfdb"):
        line = next(line for line in table.splitlines() if f"│ {name} " in line)
        stated = dependencies.licence(dependencies.needed()[name])
        assert version(name) in line
        assert stated.text[:20] in line
    assert "no licence chosen yet" in said()


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ("License-Expression: MIT", ("MIT", True)),
        ("License: BSD 3-Clause", ("BSD 3-Clause", False)),
        ("License: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License", ("MIT License", False)),
        (f"License: {'Permission is granted ' * 9}\nClassifier: License :: OSI Approved", None),
        ("Summary: none", None),
    ],
)
def test_a_licence_is_what_the_distribution_states(
    tmp_path: Path, metadata: str, expected: tuple[str, bool] | None
) -> None:
    (tmp_path / "METADATA").write_text(f"Metadata-Version: 2.4\nName: x\nVersion: 1\n{metadata}\n")
    of: Distribution = PathDistribution(tmp_path)
    assert dependencies.licence(of) == expected
