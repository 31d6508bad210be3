"""The benchmark for GPU hosts runs to its end, here in tiny sizes on the CPU."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

GPU = Path(__file__).parents[1] / "benchmarks/gpu.py"
ROWS = (
    "matrix product, bfloat16",
    "copy within the device's memory",
    "OTiS-base, published form, fp32, batch 20",
    "OTiS-base, fp32: error against the CPU",
    "scorer, fp32: share of the forward pass alone",
    "preprocessing, one core",
    "files to rows",
    "  CPU busy",
    "teacher",
    "pretraining",
    "fine-tuning",
    "DINOv2 features",
    "PTACL, fp32",
)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, GPU, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def test_every_part_gives_its_rows_and_equality_is_checked() -> None:
    done = run("--smoke", "--minutes", "5")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SMOKE: tiny sizes, these figures mean nothing" in done.stdout
    for name in ROWS:
        assert re.search(rf"^{re.escape(name)}", done.stdout, re.MULTILINE), name
    assert re.search(r"OTiS-base, fp32: error against the CPU .* PASS", done.stdout)
    assert "All aims are reached." in done.stdout


def test_what_the_minutes_do_not_suffice_for_is_named() -> None:
    done = run("--smoke", "--minutes", "0")
    assert done.returncode == 1
    assert "files to rows: the minutes are over, run it with --only 'files to rows'" in done.stdout


def test_without_a_gpu_nothing_is_measured() -> None:
    done = run()
    assert done.returncode == 2
    assert "torch sees no GPU" in done.stdout
