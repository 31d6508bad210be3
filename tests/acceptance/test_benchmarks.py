"""Benchmarks that fill a database run as they are documented; their figures are not asserted."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("forgetting.py --small 500 --ecgs 1000 --patients 2", r"1,000 .* yes"),
        ("ten_million.py --small 1000 --ecgs 2000", "whole database"),
        ("upsert.py 600", "executemany"),
        ("pseudonyms.py --ecgs 1000", "the list is the same"),
    ],
)
def test_a_benchmark_of_the_database_runs_to_its_end(command: str, said: str) -> None:
    name, *options = command.split()
    done = subprocess.run(
        [sys.executable, FOLDER / name, *options], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert re.search(said, done.stdout)
