"""Cath studies as their reports tell them."""

from __future__ import annotations

from datetime import UTC, datetime

from stence.cohort import (
    Study,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def study(
    study_id: str,
    patient_id: str,
    narrowed: tuple[float, ...],
    key: str = "a.csv",
    treated: datetime | None = None,
) -> Study:
    return Study(study_id, patient_id, NOON, narrowed, f"reports/{key}", treated)


def degrees(**narrowed: float) -> tuple[float, ...]:
    return tuple(narrowed.get(f"s{segment}", 0.0) for segment in range(1, 17))
