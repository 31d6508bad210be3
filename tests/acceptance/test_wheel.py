"""The main job from the wheel that a hospital installs: all that it needs is in it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.database import server_folder
from support.strangers import add_strangers

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
PATIENTS = 1500  # of fewer, the gate rejects the model
COMMAND = "from stence import cli, flows; print(cli.__file__, flows.__file__); cli.main()"

COUNTS = r"indexed (\d+) = scored (\d+) \+ quarantined (\d+) \+ pending (\d+)"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which the wheel of this checkout is installed, without what it depends on."""
    wheels, folder = (tmp_path_factory.mktemp(name) for name in ("wheels", "installed"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", wheels, ROOT], check=True)
    (wheel,) = wheels.glob("stence-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", folder, wheel], check=True)
    return folder


def test_the_wheel_brings_one_package(installed: Path) -> None:
    """None that could hide a hospital's own ``flows``; with types, and without our tests."""
    assert {path.name for path in installed.iterdir() if path.suffix != ".dist-info"} == {"stence", "bin"}
    assert (installed / "stence/py.typed").is_file()


@pytest.mark.timeout(900)
def test_the_main_job_runs_from_the_wheel_beside_packages_of_the_hospital(
    installed: Path, tmp_path: Path
) -> None:
    add_strangers(tmp_path)
    with server_folder() as data_dir:
        done = subprocess.run(
            [sys.executable, "-c", COMMAND, "practice", "--patients", str(PATIENTS)],
            cwd=tmp_path,
            env=os.environ
            | {"PYTHONPATH": f"{tmp_path}:{installed}", "STENCE_DATA_DIR": str(data_dir), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    places = done.stdout.splitlines()[0].split()
    assert all(Path(place).is_relative_to(installed) for place in places), "it ran from the checkout"
    found = re.search(COUNTS, done.stderr)
    assert found is not None, done.stderr[-3000:]
    indexed, scored, quarantined, pending = map(int, found.groups())
    assert indexed == scored + quarantined > PATIENTS
    assert (pending, quarantined > 0) == (0, True)
    assert "Patients to review, highest risk first" in done.stdout
    assert re.search(r"^│ +\d+", done.stdout, re.MULTILINE), "nobody is on the list"
