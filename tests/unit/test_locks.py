"""The locks pin what the project requires, in the tested versions, and each line has hashes."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from stence.dependencies import EXTRAS
from support.documents import read

PROJECT = tomllib.loads(read("pyproject.toml"))["project"]
LOCKS = ["requirements.lock", *(f"requirements-{extra}.lock" for extra in (*EXTRAS, "gpu"))]


def locked(name: str) -> dict[str, tuple[str, list[str]]]:
    """Version and hashes, by name."""
    text = read(f"deployments/{name}").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    entries = [
        re.fullmatch(r"([\w.-]+)==(\S+)(?: ; [^#]*?)?((?: +--hash=sha256:[0-9a-f]{64})+)", line)
        for line in lines
    ]
    assert None not in entries, name
    return {entry[1]: (entry[2], entry[3].split()) for entry in entries}


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(each).name) for each in requirements}


@pytest.mark.parametrize("name", LOCKS)
def test_versions_are_those_that_are_tested(name: str) -> None:
    pinned = re.findall(r"^([\w.-]+)==(\S+)$", read("deployments/constraints.txt"), re.MULTILINE)
    tested = {canonicalize_name(each): version for each, version in pinned}
    for each, (version, _) in locked(name).items():
        assert tested.get(each, version) == version, each


def test_the_locks_pin_what_the_project_requires() -> None:
    base = locked("requirements.lock").keys()
    assert names(PROJECT["dependencies"]) <= base
    for extra in EXTRAS:
        added = locked(f"requirements-{extra}.lock").keys()
        assert names(PROJECT["optional-dependencies"][extra]) <= added | base
        assert added.isdisjoint(base)


def test_the_libraries_of_gpus_are_in_their_own_lock_alone() -> None:
    gpu = re.compile("nvidia-|cuda-|triton")
    assert not [name for name in locked("requirements.lock") if gpu.match(name)]
    assert [name for name in locked("requirements-gpu.lock") if not gpu.match(name)] == []
    assert len(locked("requirements.lock")["torch"][1]) > len(locked("requirements.lock")["scipy"][1])
