"""The folder of wheels installs without a network, and the benchmark for GPU hosts runs from it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from packaging.requirements import Requirement

from support.documents import ROOT

pytestmark = pytest.mark.slow

IMAGE = ("torch", "numpy", "scipy", "numba", "transformers")
LARGEST_BYTES = 40e6
WITHOUT_NETWORK = ["unshare", "-n"] if shutil.which("unshare") else []


@pytest.fixture(scope="module")
def packed() -> Iterator[Path]:
    """Outside pytest's own temporary folder, which is closed to the account of the embedded Postgres."""
    with TemporaryDirectory(prefix="stence-test-") as closed:
        Path(closed).chmod(0o755)
        folder = Path(closed) / "packed"
        command = [sys.executable, ROOT / "deployments/wheelhouse.py", folder, "--benchmark"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=400)
        assert done.returncode == 0, done.stderr
        assert "site wheels/*.whl" in done.stdout
        yield folder


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has what an image for GPUs has, and nothing else of ours."""
    folder = tmp_path_factory.mktemp("host")
    venv.create(folder, with_pip=True, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for path in sorted(files_of(IMAGE)):
        if not (site / path.name).exists():
            (site / path.name).symlink_to(path)
    return folder / "bin/python"


def files_of(names: tuple[str, ...]) -> set[Path]:
    """Top files and folders of these distributions, and of all that they need."""
    found, waiting, known = set[Path](), list(names), set[str]()
    while waiting:
        name = waiting.pop()
        if name in known:
            continue
        known.add(name)
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            continue  # not needed on this system
        tops = {file.parts[0] for file in installed.files or () if file.parts[0] not in ("..", "__pycache__")}
        found |= {Path(installed.locate_file(top)) for top in tops}
        needs = map(Requirement, installed.requires or ())
        waiting += [need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
    return found


def without_network(*command: object, folder: Path) -> str:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": "site", "OMP_NUM_THREADS": "1", "HOME": str(folder)}
    done = subprocess.run(
        [*WITHOUT_NETWORK, *map(str, command)], cwd=folder, env=environment, capture_output=True, text=True,
        check=False, timeout=400,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_benchmark_is_small_and_runs_without_a_network(packed: Path, host: Path) -> None:
    assert sum(path.stat().st_size for path in packed.rglob("*") if path.is_file()) < LARGEST_BYTES
    wheels = sorted((packed / "wheels").glob("*.whl"))
    install = ("-m", "pip", "install", "-q", "--no-index", "--no-deps", "--target", "site")
    without_network(host, *install, *wheels, folder=packed)
    said = without_network(host, "tests/benchmarks/gpu.py", "--smoke", folder=packed)
    assert "All aims are reached." in said
    assert "DINOv2 features" in said


def test_what_the_benchmark_does_not_import_is_left_out(packed: Path) -> None:
    names = {re.match(r"\w+?(?=-\d)", path.name)[0] for path in (packed / "wheels").glob("*.whl")}
    assert names.isdisjoint({"prefect", "matplotlib", "boto3", "botocore", "torch", "pandas", "llvmlite"})
    assert "stence" in names
