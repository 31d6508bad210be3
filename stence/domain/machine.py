"""The machine that this process runs on."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")
"""Quota and period of a container (cgroup 2), in microseconds."""


def usable_cores() -> int:
    """Return the number of cores that this process may use: its affinity, and its container's limit."""
    cores = len(os.sched_getaffinity(0))
    with suppress(OSError, ValueError):  # no container, or no limit
        quota, period = CPU_LIMIT.read_text().split()
        cores = min(cores, max(1, round(int(quota) / int(period))))
    return cores
