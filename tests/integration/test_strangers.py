"""A hospital's own packages ``flows``, ``deployments`` and ``sql`` are first on the path and do no harm."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.documents import ROOT
from support.strangers import add_strangers

pytestmark = pytest.mark.slow
COMMAND = """
import sys
from prefect.flows import load_flow_from_entrypoint
from stence import database, resources
from stence.cli.serving import described_deployments
for each in described_deployments("UTC"):
    print(load_flow_from_entrypoint(each.entrypoint, use_placeholder_flow=False).name)
print(resources.sql_folder(), len(database.queries.available()))
assert "flows" not in sys.modules
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which the wheel of this checkout is installed, without what it depends on."""
    clone, wheels, folder = (tmp_path_factory.mktemp(name) for name in ("clone", "wheels", "installed"))
    copy_code(clone)
    (clone / "deployments/.env").write_text("POSTGRES_PASSWORD=planted\n")
    (clone / "deployments/secrets").mkdir()
    (clone / "deployments/secrets/prefect_auth").write_text("planted")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", wheels, clone], check=True)
    (wheel,) = wheels.glob("stence-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", folder, wheel], check=True)
    return folder


def copy_code(folder: Path) -> None:
    """What a wheel is built of."""
    for name in ("stence", "flows", "sql", "deployments"):
        shutil.copytree(ROOT / name, folder / name, symlinks=True)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy2(ROOT / name, folder / name)


def test_the_wheel_brings_one_package(installed: Path) -> None:
    """None that could hide a hospital's own ``flows``; with types, and without our tests."""
    assert {path.name for path in installed.iterdir() if path.suffix != ".dist-info"} == {"stence", "bin"}
    assert (installed / "stence/py.typed").is_file()


def test_the_wheel_brings_everything_but_passwords(installed: Path) -> None:
    ours, theirs = (
        {path.name for path in folder.iterdir()}
        for folder in (ROOT / "deployments", installed / "stence/deployments")
    )
    assert ours - {".env", "__pycache__"} == theirs - {"__pycache__"}


@pytest.mark.parametrize("place", ["clone", "wheel"])
def test_packages_of_the_hospital_do_no_harm(place: str, installed: Path, tmp_path: Path) -> None:
    """The deployments' entrypoints, as a worker loads them, and the resources are ours."""
    ours, sql = (ROOT, ROOT / "sql") if place == "clone" else (installed, installed / "stence/sql")
    environment = os.environ | {"PYTHONPATH": f"{add_strangers(tmp_path)}:{ours}"}
    command = [sys.executable, "-c", COMMAND]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert {"ingest", "score", "archive", "monitor", "retrain", str(sql)} <= set(done.stdout.split())
