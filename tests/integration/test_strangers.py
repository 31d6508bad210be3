"""A hospital's own packages ``flows``, ``deployments`` and ``sql`` are first on the path and do no harm."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.documents import ROOT
from support.strangers import add_strangers

COMMAND = """
import sys
from prefect.flows import load_flow_from_entrypoint
from stence import database, resources
from stence.cli.serving import described_deployments
for each in described_deployments():
    print(load_flow_from_entrypoint(each.entrypoint, use_placeholder_flow=False).name)
print(resources.sql_folder(), len(database.queries.available()))
assert "flows" not in sys.modules
"""


@pytest.fixture
def hospital(tmp_path: Path) -> Path:
    return add_strangers(tmp_path)


@pytest.mark.slow
def test_packages_of_the_hospital_do_no_harm(hospital: Path) -> None:
    environment = os.environ | {"PYTHONPATH": f"{hospital}:{ROOT}"}
    command = [sys.executable, "-c", COMMAND]
    done = subprocess.run(
        command, cwd=hospital, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    said = done.stdout.split()
    assert {"ingest", "score", "archive", "monitor", "retrain", str(ROOT / "sql")} <= set(said)
