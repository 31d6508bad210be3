"""Preprocessing of 3 s windows (12 x 1500): stence against the usual general sparse solver, lead by lead.

python tests/benchmarks/preprocessing.py
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from stence.ecg import preprocess, resample
from support.ecgs import heartbeats
from support.solvers import sparse_preprocess

ROUNDS = 20
FAST_CALLS = 50
SECONDS = 2.0


def milliseconds(function: Callable[[], object], calls: int = 1) -> float:
    """Of one call, in a row of ``calls``."""
    start = time.perf_counter()
    for _ in range(calls):
        function()
    return 1000 * (time.perf_counter() - start) / calls


def throughput(ecg: np.ndarray, threads: int) -> float:
    """Windows a second."""

    def work(end: float) -> int:
        done = 0
        while time.perf_counter() < end:
            preprocess(ecg)
            done += 1
        return done

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(work, [time.perf_counter() + SECONDS] * threads)) / SECONDS


def main() -> None:
    ecg = (heartbeats(1, 3.0) / 1000).astype(np.float32)
    many = np.stack([ecg] * 16)
    difference = np.abs(preprocess(ecg) - sparse_preprocess(ecg)).max()
    rounds = [
        (
            milliseconds(lambda: sparse_preprocess(ecg)),
            milliseconds(lambda: preprocess(ecg), FAST_CALLS),
            milliseconds(lambda: preprocess(many), FAST_CALLS // 16) / 16,
        )
        for _ in range(ROUNDS)
    ]
    general, one, batched = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"one core, median of {ROUNDS} rounds; greatest difference {difference:.1e} standard deviations")
    print(f"scipy spsolve, lead by lead   {general:9.3f} ms a window")
    print(f"stence, one window            {one:9.3f} ms a window   {general / one:6.0f} x")
    print(f"stence, 16 windows at a time  {batched:9.3f} ms a window   {general / batched:6.0f} x")
    for threads in (1, 2):
        print(f"stence, {threads} thread(s)           {throughput(ecg, threads):9.0f} windows a second")
    for rate in (1000, 360, 100):
        signal = (heartbeats(1, 10.0, rate) / 1000).astype(np.float32)
        taken = milliseconds(partial(resample, signal, rate), FAST_CALLS)
        print(f"resampling 10 s of {rate:4} Hz    {taken:9.3f} ms")


if __name__ == "__main__":
    main()
