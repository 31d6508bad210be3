"""The whole pipeline without a model: ECGs a second from a local store, and memory as it goes.

python tests/benchmarks/pipeline.py [ECGS]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from stence import database, scoring
from stence.objects import ObjectStore, open_store
from stence.settings import Settings
from support.ecgs import heartbeats, manifest, store_ecg
from support.models import ShapeScorer, register

SOURCES = 100
MEMORY_FROM = 2000


class NoModel(ShapeScorer):
    """Gives the same answer at once."""

    def score(self, ecgs):  # type: ignore[no-untyped-def]
        return np.full((len(ecgs), 6), 0.1)


def write(store: ObjectStore, ecgs: int) -> None:
    """ECGs of 10 s at 500 Hz, all different, as WFDB records."""
    signals = [heartbeats(number) for number in range(SOURCES)]
    rows = []
    for number in range(ecgs):
        signal = signals[number % SOURCES].copy()
        signal[:, number // SOURCES] += 1
        store_ecg(store, f"ecg/{number // 1000:04d}/{number:07d}.hea", signal)
        rows.append((f"p{number}", "2026-03-01 08:30:00", f"{number // 1000:04d}/{number:07d}"))
    store.put("ecg/record_list.csv", manifest(rows))


def main() -> None:
    ecgs = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    process = psutil.Process()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder))
        store = open_store(settings.resolved_store_url, settings)
        write(store, ecgs)
        with database.connect(settings) as engine:
            register(engine, NoModel())
            start = time.perf_counter()
            scoring.index(engine, store, settings)
            print(f"index      {ecgs / (time.perf_counter() - start):8.0f} ECGs/s")
            memory: list[tuple[int, float]] = []
            with scoring.open_run(engine, store, settings, NoModel()) as run:
                run.score(limit=256)  # compiles what is compiled on first use
                start, cpu = time.perf_counter(), sum(process.cpu_times()[:2])
                done = run.score(
                    progress=lambda stage, n, *rest: memory.append((n, process.memory_info().rss / 2**20))
                )
                seconds = time.perf_counter() - start
                cpu = sum(process.cpu_times()[:2]) - cpu
            print(f"pipeline   {done / seconds:8.0f} ECGs/s ({done} ECGs in {seconds:.1f} s)")
            print(f"           {1000 * cpu / done:8.3f} ms of CPU an ECG, without Postgres")
            for stage, spent in sorted(run.summary().seconds_by_stage.items()):
                print(f"  {stage:10} {1000 * spent / ecgs:7.3f} ms an ECG")
            late = [mib for n, mib in memory if n >= min(MEMORY_FROM, ecgs // 2)]
            growth = 100 * (max(late) / late[0] - 1)
            print(f"memory     {late[0]:8.0f} MiB early on, then at most {max(late):.0f} ({growth:+.1f} %)")
            print(run.summary().text())


if __name__ == "__main__":
    main()
