"""Rows of the table, sizes of what is measured, and the clock."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch

WINDOWS = 3
"""Windows of an ECG."""
BLOCK = 256
"""ECGs that the scorer computes together."""


class Row(NamedTuple):
    """One measured value, and whether it is at least (or with ``at_most``, at most) its aim."""

    what: str
    value: float
    unit: str
    aim: float | None = None
    at_most: bool = False
    note: str = ""

    @property
    def verdict(self) -> str:
        """PASS, FAIL, or nothing without an aim."""
        if self.aim is None:
            return ""
        return "PASS" if (self.value <= self.aim if self.at_most else self.value >= self.aim) else "FAIL"

    def text(self) -> str:
        """A line of the table."""
        sign = "<=" if self.at_most else ">="
        aim = "" if self.aim is None else f"{sign} {self.aim:,.4g}"
        return f"{self.what:58} {self.value:>12,.4g} {self.unit:12} {aim:>10} {self.verdict:4} {self.note}"


class Sizes(NamedTuple):
    """What is measured: everything at the published sizes, or a little of everything."""

    encoders: Mapping[str, Mapping[str, Any]]
    """Encoders by the name of their row: arguments of ``stence.encoders.build``, the first decides."""
    block: int
    seconds: float
    """Time of one measurement."""
    ecgs: int
    """ECGs of the pipeline."""
    square: int
    """Side of the matrices of the roofline."""
    pairs: int
    views: int
    side: int
    """Side of a key frame in pixels."""
    backbone: Mapping[str, int]
    segment_mil: Mapping[str, int]


PUBLISHED = Sizes(
    encoders={
        "OTiS-base": {"name": "otis"},
        "ECGFounder": {"name": "ecgfounder"},
        "PTACL": {"name": "ptacl", "width": 384, "depth": 3, "heads": 6, "hidden": 1536},
        "xECG": {"name": "xecg"},
        "EchoingECG": {"name": "echoing_ecg"},
        "OTiS-large": {"name": "otis", "variant": "large"},
    },
    block=BLOCK,
    seconds=1.5,
    ecgs=20_000,
    square=8192,
    pairs=128,
    views=4,
    side=518,
    backbone={"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6},
    segment_mil={"embed_dim": 512, "layers": 2},
)
SMOKE = Sizes(
    encoders={
        "OTiS-base": {"name": "otis", "width": 16, "depth": 1, "heads": 2},
        "PTACL": {"name": "ptacl", "width": 16, "depth": 1, "heads": 2, "hidden": 32},
    },
    block=1,
    seconds=0.05,
    ecgs=40,
    square=64,
    pairs=4,
    views=2,
    side=56,
    backbone={"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1},
    segment_mil={"embed_dim": 16, "layers": 1},
)


def wait_for(device: str) -> None:
    """Wait until the device has computed everything."""
    if device == "cuda":
        torch.cuda.synchronize()


def rate(work: Callable[[], object], device: str, seconds: float, warm_up: int = 2) -> float:
    """Calls a second: the median of three stretches, each of a third of ``seconds`` at least."""
    for _ in range(warm_up):
        work()
    wait_for(device)
    return statistics.median(_stretch(work, device, seconds / 3) for _ in range(3))


def _stretch(work: Callable[[], object], device: str, seconds: float) -> float:
    calls, start = 0, time.perf_counter()
    while calls == 0 or time.perf_counter() - start < seconds:
        for _ in range(4 if device == "cuda" else 1):  # so that the GPU's queue does not run dry
            work()
            calls += 1
        wait_for(device)
    return calls / (time.perf_counter() - start)
