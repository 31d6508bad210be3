"""How long work tells of its progress, without knowing who listens."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called often from the thread that leads the work; must return at once."""

    def __call__(self, stage: str, done: int, total: int | None = None, note: str = "") -> None:
        """Say that ``done`` of ``total`` items of ``stage`` are finished; ``note`` is a short remark."""


def silent(stage: str, done: int, total: int | None = None, note: str = "") -> None:
    """Tell nobody."""
