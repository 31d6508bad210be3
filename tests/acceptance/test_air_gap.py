"""From one file, without a network and into a fresh environment: stence installs, and the main job runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from support.documents import ROOT
from support.strangers import add_strangers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
PATIENTS = 1500  # of fewer, the gate rejects the model
COUNTS = r"indexed (\d+) = scored (\d+) \+ quarantined (\d+) \+ pending (\d+)"
LOOPBACK_UP = """
import fcntl, os, socket, struct, sys
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH22x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
os.execvp(sys.argv[1], sys.argv[1:])
"""
WITHOUT_NETWORK = ["unshare", "-n", sys.executable, "-c", LOOPBACK_UP] if shutil.which("unshare") else []
"""No way out, and the host itself to talk to, as any host has."""


@pytest.fixture(scope="module")
def hospital() -> Iterator[Path]:
    """The archive, unpacked into a folder that the embedded Postgres's account may pass."""
    with TemporaryDirectory(prefix="stence-test-") as closed:
        folder = Path(closed)
        folder.chmod(0o755)
        packing = [sys.executable, ROOT / "deployments/wheelhouse.py", folder / "packed", "--archive"]
        done = subprocess.run(packing, capture_output=True, text=True, check=False, timeout=900)
        assert done.returncode == 0, done.stderr
        assert not (folder / "packed").exists()
        shutil.unpack_archive(folder / "packed.tar", folder, filter="data")
        (folder / "packed.tar").unlink()
        yield folder / "packed"


def run(*command: object, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run without a network, and with nothing of this environment but what more says."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "PIP_CONFIG_FILE": os.devnull,
        "COLUMNS": "200",
    }
    return subprocess.run(
        [*WITHOUT_NETWORK, *map(str, command)], cwd=folder, env=environment | more, capture_output=True,
        text=True, check=False, timeout=900,
    )  # fmt: skip


def test_pages_sql_and_deployments_come_along(hospital: Path) -> None:
    for name in (
        "README.md",
        ".images/list.svg",
        "sql/README.md",
        "deployments/compose.yaml",
        "tests/README.md",
    ):
        assert (hospital / name).is_file(), name
    assert not (hospital / "deployments/.env").exists()


def test_an_altered_wheel_is_not_installed(hospital: Path) -> None:
    (wheel,) = hospital.glob("wheels/click-*.whl")
    sound = wheel.read_bytes()
    wheel.write_bytes(sound + b"\0")
    done = run("sh", "install.sh", folder=hospital, PYTHON=sys.executable)
    wheel.write_bytes(sound)
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert not (hospital / ".venv/bin/stence").exists()


def test_it_installs_and_the_main_job_runs_beside_packages_of_the_hospital(
    hospital: Path, tmp_path: Path
) -> None:
    installed = run("sh", "install.sh", folder=hospital, PYTHON=sys.executable)
    assert installed.returncode == 0, installed.stderr
    work = hospital / "work"
    work.mkdir()
    done = run(
        hospital / ".venv/bin/stence", "practice", "--patients", PATIENTS, folder=work,
        PYTHONPATH=str(add_strangers(tmp_path)), OMP_NUM_THREADS="2",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = re.search(COUNTS, done.stderr)
    assert found is not None, done.stderr[-3000:]
    indexed, scored, quarantined, pending = map(int, found.groups())
    assert indexed == scored + quarantined > PATIENTS
    assert (pending, quarantined > 0) == (0, True)
    assert "Patients to review, highest risk first" in done.stdout
    assert re.search(r"^│ +\d+", done.stdout, re.MULTILINE), "nobody is on the list"
