"""Keys of a retraining's artifacts: Prefect takes every one, whatever a stage is called."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect.types.names import raise_on_name_alphanumeric_dashes_only

import stence
from stence.flows.retrain import artifact_key
from stence.training import STAGES

LIBRARY = Path(stence.__file__).parent


def names_told() -> Iterator[str]:
    """First argument of every call of ``progress`` in the library, as far as it is a literal."""
    sources = [source for path in LIBRARY.rglob("*.py") if "progress(" in (source := path.read_text())]
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("progress") and node.args:
                match node.args[0]:
                    case ast.Constant(value=str(name)):
                        yield name


NAMES = sorted({*names_told(), *STAGES})


def test_the_names_are_found() -> None:
    assert {"angiogram headers", "fine-tuned features", "ECGs", "teacher"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_stage_has_a_key_that_prefect_takes(name: str) -> None:
    raise_on_name_alphanumeric_dashes_only(artifact_key(name))


def test_every_stage_has_a_key_of_its_own() -> None:
    assert len({artifact_key(name) for name in NAMES}) == len(NAMES)


@given(st.text())
def test_any_name_makes_a_key_that_prefect_takes(name: str) -> None:
    raise_on_name_alphanumeric_dashes_only(artifact_key(name))
