"""Put each listed fault into a copy of the code, and see whether its tests notice.

    python tests/mutation/run.py                     all faults
    python tests/mutation/run.py --sample 12         a sample, another one for each commit
    python tests/mutation/run.py quality leases      the files faults/quality.yaml and faults/leases.yaml

A fault replaces ``old``, which stands once in ``file``, by ``new``. Its tests must pass without it. With it,
those run first that are not marked slow; where they pass, the slow ones. The command ends with 1 where a
fault survives both, and with 2 where a test fails without any fault.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from forked import preload, run_tests

ROOT = Path(__file__).parents[2]
FAULTS = Path(__file__).parent / "faults"
COPIED = ("stence", "flows", "sql", "deployments", "tests", "pyproject.toml", "README.md")
FAST, SLOW = "not slow", "slow"


@dataclass(frozen=True)
class Fault:
    """One line of the code made wrong, and the tests that must notice it."""

    room: str
    name: str
    file: str
    old: str
    new: str
    tests: list[str]

    @contextmanager
    def applied(self, folder: Path) -> Iterator[None]:
        """Put it into the copy in ``folder`` for the context.

        Raises ValueError unless ``old`` stands there once.
        """
        path = folder / self.file
        text = path.read_text()
        if text.count(self.old) != 1:
            raise ValueError(f"{self.room}.{self.name}: {self.old!r} stands {text.count(self.old)} times")
        path.write_text(text.replace(self.old, self.new))
        try:
            yield
        finally:
            path.write_text(text)


def read_faults(rooms: Sequence[str]) -> list[Fault]:
    """The faults of ``rooms``, of all where there are none."""
    paths = [FAULTS / f"{room}.yaml" for room in rooms] or sorted(FAULTS.glob("*.yaml"))
    return [Fault(path.stem, **entry) for path in paths for entry in yaml.safe_load(path.read_text())]


@contextmanager
def workers(count: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that hold the large packages, each with a copy of the code."""
    context = get_context("fork")
    with TemporaryDirectory(prefix="stence-mutation-") as folder:
        places: SimpleQueue[Path] = context.SimpleQueue()
        for number in range(count):
            places.put(_copy(Path(folder, str(number))))
        with ProcessPoolExecutor(count, context, initializer=_take, initargs=(places,)) as pool:
            yield pool


def _copy(folder: Path) -> Path:
    place = folder / "main"
    place.mkdir(parents=True)
    (folder / "shared").symlink_to(ROOT.parent / "shared")  # where the tests look for it
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place / name, symlinks=True)
        else:
            shutil.copy2(ROOT / name, place / name)
    return place


def _take(places: SimpleQueue[Path]) -> None:
    """Take one of the copies, which this process alone works in."""
    os.environ["MUTATION_COPY"] = str(places.get())


def _copy_of_mine() -> Path:
    return Path(os.environ["MUTATION_COPY"])


def passes(tests: list[str]) -> bool:
    """True if ``tests`` pass without any fault."""
    return run_tests(_copy_of_mine(), tests, f"{FAST} or {SLOW}")


def outcome(fault: Fault) -> str:
    """``fast``, ``slow`` or ``survived``, by the tests that notice the fault."""
    folder = _copy_of_mine()
    with fault.applied(folder):
        if not run_tests(folder, fault.tests, FAST):
            return "fast"
        return "survived" if run_tests(folder, fault.tests, SLOW) else "slow"


def failing_files(faults: Sequence[Fault], pool: ProcessPoolExecutor) -> list[str]:
    """Test files whose listed tests do not pass without any fault."""
    by_file = defaultdict(set)
    for test in {test for fault in faults for test in fault.tests}:
        by_file[test.partition("::")[0]].add(test)
    passed = pool.map(passes, [sorted(tests) for tests in by_file.values()])
    return [file for file, is_sound in zip(by_file, passed, strict=True) if not is_sound]


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
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and so remove the copies
    faults = read_faults(chosen.rooms)
    if chosen.sample and chosen.sample < len(faults):
        faults = random.Random(commit()).sample(faults, chosen.sample)
    counts: Counter[str] = Counter()
    preload()
    with workers(chosen.processes) as pool:
        if failing := failing_files(faults, pool):
            print(f"without any fault, tests fail in {', '.join(failing)}")
            return 2
        for fault, noticed in zip(faults, pool.map(outcome, faults), strict=True):
            counts[noticed] += 1
            print(f"{noticed:9} {fault.room}.{fault.name}", flush=True)
    print(f"{len(faults)} faults: the fast suite notices {counts['fast']},", end=" ")
    print(f"the slow tests {counts['slow']} more, {counts['survived']} survive")
    return 1 if counts["survived"] else 0


if __name__ == "__main__":
    sys.exit(main())
