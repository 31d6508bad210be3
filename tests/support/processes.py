"""Scorers as processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pydantic import SecretStr

from stence.settings import Settings

TESTS = Path(__file__).resolve().parents[1]


def environment(settings: Settings) -> dict[str, str]:
    """The environment in which another process has these settings."""
    values = {name: getattr(settings, name) for name in settings.model_fields_set}
    plain = {n: v.get_secret_value() if isinstance(v, SecretStr) else v for n, v in values.items()}
    stence = {f"STENCE_{name.upper()}": str(value) for name, value in plain.items() if value is not None}
    return {**os.environ, **stence, "PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1"}


def start_scorer(settings: Settings, seconds_per_batch: float) -> subprocess.Popen[str]:
    """Start a slow scorer and return once it scores."""
    process = subprocess.Popen(
        [sys.executable, "-m", "support.scorer_process", str(seconds_per_batch)],
        env=environment(settings),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = process.stdout.readline()
    assert said == "scoring\n", f"the scorer did not start: {said!r}"
    return process
