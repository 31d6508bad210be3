"""Interface for progress reports of long work."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Progress callback. It is called often from the working thread, and must return at once."""

    def __call__(self, stage: str, done: int, total: int | None = None, note: str = "") -> None:
        """Report that ``done`` of ``total`` items of ``stage`` are finished. ``note`` is a short remark."""


def silent(stage: str, done: int, total: int | None = None, note: str = "") -> None:
    """Ignore the report."""
