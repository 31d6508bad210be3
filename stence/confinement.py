"""Limits of child processes that decode untrusted files with native code."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path


def confine() -> None:
    """Forbid core dumps, which would hold patient data, and be the first to end when memory runs out."""
    limit(resource.RLIMIT_CORE, 0)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def limit_growth(memory_bytes: int) -> None:
    """Let this process allocate ``memory_bytes`` more than it has; beyond them Python raises MemoryError.

    Shared memory and files do not count, nor does address space that is only reserved.
    """
    pages = int(Path("/proc/self/statm").read_text().split()[5])
    limit(resource.RLIMIT_DATA, pages * resource.getpagesize() + memory_bytes)


def limit(kind: int, most: int) -> None:
    """Lower only the soft limit, because it can be raised again; a stricter hard limit stays."""
    hard = resource.getrlimit(kind)[1]
    resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
