"""Files on which reading once failed, found by hand or by campaign.py, end in an outcome."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.decoding import outcome
from support.samples import samples

CRASHES = Path(__file__).parent / "crashes"
FILES = sorted(path for path in CRASHES.glob("*/*") if path.is_file())


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    """Compile what is compiled at first use, which takes longer than any file may."""
    for sample in samples():
        outcome_or_failure(sample.name, sample.files)


def outcome_or_failure(name: str, files: dict[str, bytes]) -> str:
    try:
        return outcome(name, files)
    except AssertionError as error:
        return str(error)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_file_that_failed_once_ends_in_an_outcome(path: Path):
    siblings = {name: content for sample in samples() for name, content in sample.files.items()}
    outcome(path.name, {**siblings, path.name: path.read_bytes()})
