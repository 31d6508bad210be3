"""Run pytest in a fork of a process that holds the large packages already, but nothing of stence."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

PRELOADED = (
    "boto3", "click", "hypothesis", "numba", "numpy", "pandas", "psycopg", "pydantic_settings", "pydicom",
    "pytest", "safetensors.torch", "scipy.optimize", "scipy.signal", "scipy.stats", "sqlalchemy", "torch",
    "torchmetrics.functional.classification", "wfdb",
)  # fmt: skip
"""Prefect is not among them: it reads its settings when it is imported."""
PASSED, FAILED, NO_TEST_RAN, WRONG_COPY = 0, 1, 5, 99


def preload() -> None:
    """Import the large packages once; with one thread, because threads do not survive a fork."""
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in PRELOADED:
        importlib.import_module(name)


def run_tests(folder: Path, tests: Sequence[str], marker: str) -> bool:
    """Run ``tests`` of the copy of the code in ``folder``; False where one of them fails.

    Raises RuntimeError, with pytest's output, where pytest cannot run them.
    """
    log = folder.parent / "pytest.log"
    if not (child := os.fork()):
        os._exit(_pytest(folder, [*tests, "-m", marker], log))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code not in (PASSED, FAILED, NO_TEST_RAN):
        raise RuntimeError(f"pytest ended with {code} on {', '.join(tests)}\n{log.read_text()[-3000:]}")
    return code != FAILED


def _pytest(folder: Path, arguments: Sequence[str], log: Path) -> int:
    import pytest

    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.chdir(folder)
    sys.dont_write_bytecode = True
    os.environ |= {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    sys.path[:0] = [str(folder)]
    code = pytest.main(["-q", "-x", "-p", "no:cacheprovider", *arguments])
    sys.stdout.flush()
    stence = sys.modules.get("stence")
    is_copy = stence is None or str(stence.__file__).startswith(str(folder))
    return int(code) if is_copy else WRONG_COPY
