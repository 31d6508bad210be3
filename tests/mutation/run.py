"""Put each listed fault into a copy of the code, and see whether its tests notice.

    python tests/mutation/run.py                     all faults
    python tests/mutation/run.py --sample 12         a sample, another one for each commit
    python tests/mutation/run.py quality leases      the files faults/quality.yaml and faults/leases.yaml

A fault replaces ``old``, which stands once in ``file``, by ``new``. Its tests first run without those marked
slow; where they pass, with them. The command ends with 1 where a fault survives both.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FAULTS = Path(__file__).parent / "faults"
COPIED = ("stence", "flows", "sql", "deployments", "tests", "pyproject.toml", "README.md")
SECONDS = 600
NO_TEST_RAN = 5
"""Pytest's exit status where every test was deselected."""


@dataclass(frozen=True)
class Fault:
    """One line of the code made wrong, and the tests that must notice it."""

    room: str
    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def apply(self, folder: Path) -> None:
        """Put it into the copy in ``folder``. Raises ValueError unless ``old`` stands there once."""
        path = folder / self.file
        text = path.read_text()
        if text.count(self.old) != 1:
            raise ValueError(f"{self.room}.{self.name}: {self.old!r} stands {text.count(self.old)} times")
        path.write_text(text.replace(self.old, self.new))


def read_faults(rooms: list[str]) -> list[Fault]:
    """The faults of ``rooms``, of all where there are none."""
    paths = [FAULTS / f"{room}.yaml" for room in rooms] or sorted(FAULTS.glob("*.yaml"))
    return [_fault(path.stem, entry) for path in paths for entry in yaml.safe_load(path.read_text())]


def _fault(room: str, entry: dict[str, Any]) -> Fault:
    return Fault(room, entry["name"], entry["file"], entry["old"], entry["new"], tuple(entry["tests"]))


def outcome(fault: Fault, folder: Path) -> str:
    """``fast``, ``whole`` or ``survived``, by the tests that notice the fault in the copy in ``folder``."""
    source = (ROOT / fault.file).read_text()
    fault.apply(folder)
    try:
        if _notice(fault, folder, "not slow"):
            return "fast"
        return "whole" if _notice(fault, folder, "slow") else "survived"
    finally:
        (folder / fault.file).write_text(source)


def _notice(fault: Fault, folder: Path, marker: str) -> bool:
    """Whether a test fails. Raises RuntimeError where pytest cannot run them at all."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "-m",
        marker,
        *fault.tests,
    ]
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    if done.returncode not in (0, 1, NO_TEST_RAN):
        raise RuntimeError(f"{fault.room}.{fault.name}: pytest ended with {done.returncode}\n{done.stdout}")
    return done.returncode == 1


@contextmanager
def copies(count: int) -> Iterator[SimpleQueue[Path]]:
    """Copies of the code, one for each fault that is tried at a time."""
    with TemporaryDirectory(prefix="stence-mutation-") as folder:
        free: SimpleQueue[Path] = SimpleQueue()
        for number in range(count):
            place = Path(folder, str(number), "main")
            place.mkdir(parents=True)
            (place.parent / "shared").symlink_to(ROOT.parent / "shared")  # where the tests look for it
            for name in COPIED:
                source = ROOT / name
                copy = shutil.copytree if source.is_dir() else shutil.copy2
                copy(source, place / name)
            free.put(place)
        yield free


def tried(faults: list[Fault], processes: int) -> Iterator[tuple[Fault, str]]:
    """Each fault and its outcome, in order."""

    def one(fault: Fault) -> str:
        folder = free.get()
        try:
            return outcome(fault, folder)
        finally:
            free.put(folder)

    with copies(processes) as free, ThreadPoolExecutor(processes) as pool:
        yield from zip(faults, pool.map(one, faults), strict=True)


def commit() -> str:
    """The commit of this clone, by which the sample is drawn; empty outside a clone."""
    command = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rooms", nargs="*", help="files of faults/, without .yaml; default: all")
    parser.add_argument("--sample", type=int, help="try so many only")
    parser.add_argument("-n", "--processes", type=int, default=2)
    chosen = parser.parse_args()
    faults = read_faults(chosen.rooms)
    if chosen.sample and chosen.sample < len(faults):
        faults = random.Random(commit()).sample(faults, chosen.sample)
    counts = {"fast": 0, "whole": 0, "survived": 0}
    for fault, noticed in tried(faults, chosen.processes):
        counts[noticed] += 1
        print(f"{noticed:9} {fault.room}.{fault.name}", flush=True)
    print(f"{len(faults)} faults: the fast suite notices {counts['fast']},", end=" ")
    print(f"the slow tests {counts['whole']} more, {counts['survived']} survive")
    return 1 if counts["survived"] else 0


if __name__ == "__main__":
    sys.exit(main())
