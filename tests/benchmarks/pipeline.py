"""The whole pipeline without a model: ECGs a second from a local store, CPU time by process, and memory.

python tests/benchmarks/pipeline.py [ECGS] [--against FOLDER --rounds N]

FOLDER is another checkout, such as a git worktree of an older commit. Both are measured in turns, and the
medians compared.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SOURCES = 100
WARM_UP = 256
MARKS = (2000, 10_000)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("ecgs", type=int, nargs="?", default=20_000)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--code", type=Path, help="used by --against: print one measurement of this checkout")
    options = parser.parse_args()
    if options.code:
        sys.path[:0] = [str(options.code), str(options.code / "tests")]
        print(json.dumps(measure(options.ecgs)))
    elif options.against:
        compare(options.ecgs, options.against.resolve(), options.rounds)
    else:
        report(measured_apart(ROOT, options.ecgs))


def measured_apart(code: Path, ecgs: int) -> dict[str, Any]:
    """Measure a checkout in a process of its own."""
    command = [sys.executable, __file__, str(ecgs), "--code", str(code)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=code).stdout
    return json.loads(output.splitlines()[-1])


def compare(ecgs: int, other: Path, rounds: int) -> None:
    """Measure both checkouts in turns."""
    found: dict[Path, list[dict[str, Any]]] = {other: [], ROOT: []}
    for _ in range(rounds):
        for code, measurements in found.items():
            measurements.append(measured_apart(code, ecgs))
            print(code.name, f"{measurements[-1]['ecgs_per_second']:.0f} ECGs/s", flush=True)
    for measurements in found.values():
        report(sorted(measurements, key=lambda one: one["ecgs_per_second"])[rounds // 2])
    rates = [statistics.median(one["ecgs_per_second"] for one in each) for each in found.values()]
    cpu = [statistics.median(sum(one["cpu"].values()) for one in each) for each in found.values()]
    print(f"{rates[1] / rates[0]:.2f} times the rate, {cpu[1] / cpu[0]:.2f} times the CPU time an ECG")


def report(found: dict[str, Any]) -> None:
    print(f"pipeline   {found['ecgs_per_second']:8.0f} ECGs/s, {found['busy']:.0%} of the cores at work")
    for name, milliseconds in found["cpu"].items():
        print(f"  {name:10} {milliseconds:7.3f} ms of CPU an ECG")
    for stage, milliseconds in found["stages"].items():
        print(f"  {stage:10} {milliseconds:7.3f} ms an ECG, summed over processes")
    for name, peaks in found["memory"].items():
        told = ", ".join(f"{peak:.0f} to {mark} ECGs" for mark, peak in peaks.items())
        print(f"memory     {name}, MiB at most: {told}")


def measure(ecgs: int) -> dict[str, Any]:
    """Score ECGs with a model that answers at once."""
    from stence import database, scoring
    from stence.objects import open_store
    from stence.settings import Settings
    from support.models import register

    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder))
        store = open_store(settings.resolved_store_url, settings)
        write(store, ecgs)
        with database.connect(settings) as engine:
            model = no_model()
            register(engine, model)
            scoring.index(engine, store, settings)
            with scoring.open_run(engine, store, settings, model) as run:
                run.score(limit=WARM_UP)  # compiles what is compiled on first use
                watch = Watch(Path(folder))
                done = run.score(progress=lambda stage, n, *rest: watch.look(n))
                return watch.found(done) | {
                    "stages": {k: 1000 * s / ecgs for k, s in run.summary().seconds_by_stage.items()}
                }


def no_model() -> Any:
    """A model that gives every ECG the same answer."""
    import numpy as np

    from support.models import ShapeScorer

    class NoModel(ShapeScorer):
        def score(self, ecgs: Any, clinical: Any = None) -> Any:
            return np.full((len(ecgs), 6), 0.1)

    return NoModel()


def write(store: Any, ecgs: int) -> None:
    """ECGs of 10 s at 500 Hz, all different, as WFDB records."""
    from support.ecgs import heartbeats, manifest, store_ecg

    signals = [heartbeats(number) for number in range(SOURCES)]
    rows = []
    for number in range(ecgs):
        signal = signals[number % SOURCES].copy()
        signal[:, number // SOURCES] += 1
        store_ecg(store, f"ecg/{number // 1000:04d}/{number:07d}.hea", signal)
        rows.append((f"p{number}", "2026-03-01 08:30:00", f"{number // 1000:04d}/{number:07d}"))
    store.put("ecg/record_list.csv", manifest(rows))


class Watch:
    """CPU time and memory of the scorer, its child processes and Postgres, from now on."""

    def __init__(self, data_dir: Path) -> None:
        self._postmaster = int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0])
        self._cpu = self._cpu_times()
        self._memory: list[tuple[int, dict[str, float]]] = []
        self._start = time.perf_counter()

    def look(self, done: int) -> None:
        """Note the memory after so many ECGs."""
        self._memory.append((done, self._memory_now()))

    def found(self, done: int) -> dict[str, Any]:
        seconds = time.perf_counter() - self._start
        now = self._cpu_times()
        cpu = {name: 1000 * (now[name] - self._cpu[name]) / done for name in now}
        return {
            "ecgs_per_second": done / seconds,
            "cpu": cpu,
            "busy": sum(cpu.values()) / 1000 * done / seconds / cores(),
            "memory": {name: self._peaks(name, done) for name in self._memory[0][1]},
        }

    def _peaks(self, name: str, done: int) -> dict[int, float]:
        marks = [mark for mark in MARKS if mark < done] + [done]
        return {mark: max(memory[name] for n, memory in self._memory if n <= mark) for mark in marks}

    def _processes(self) -> dict[str, list[Any]]:
        import psutil

        postmaster = psutil.Process(self._postmaster)
        postgres = [postmaster, *postmaster.children(recursive=True)]
        others = [p for p in psutil.Process().children(recursive=True) if p not in postgres]
        return {"scorer": [psutil.Process()], "children": others, "postgres": postgres}

    def _cpu_times(self) -> dict[str, float]:
        return {name: sum(map(cpu_time, each)) for name, each in self._processes().items()}

    def _memory_now(self) -> dict[str, float]:
        """Resident MiB without shared memory, of which every process would count the same again."""
        found = self._processes()
        return {
            "scorer": private(found["scorer"][0]),
            "largest child": max(map(private, found["children"]), default=0.0),
            "shared windows": max(map(shared, found["children"]), default=0.0),
        }


def cpu_time(process: Any) -> float:
    import psutil

    try:
        return sum(process.cpu_times()[:2])
    except psutil.Error:  # a Postgres worker that has ended
        return 0.0


def private(process: Any) -> float:
    memory = process.memory_info()
    return (memory.rss - memory.shared) / 2**20


def shared(process: Any) -> float:
    return process.memory_info().shared / 2**20


def cores() -> int:
    import os

    return len(os.sched_getaffinity(0))


if __name__ == "__main__":
    main()
