"""What a validation looks at."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, model_validator

MIN_PATIENTS = 20
"""Minimum patients with and without a target; with fewer, intervals of 95 % hold the truth less often
(``tests/benchmarks/validation_intervals.py``)."""


class ValidationConfig(BaseModel):
    """Window, sites and patients of a validation.

    >>> ValidationConfig(sites=("ward 3",)).min_patients
    20
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: date | None = Field(None, description="First day of the studies; none: from the first on.")
    until: date | None = Field(None, description="Day after the last day; none: up to the last study.")
    sites: tuple[str, ...] = Field((), description="Only ECGs of these sites; none: all sites.")
    trained_elsewhere: bool = Field(False, description="The model learned from no patient of this database.")
    bootstrap_resamples: int = Field(1000, ge=100, description="Resamples of patients per interval.")
    min_patients: int = Field(
        MIN_PATIENTS, ge=2, description="Minimum patients with and without a target for figures of it."
    )

    @model_validator(mode="after")
    def _forwards(self) -> Self:
        if self.since and self.until and self.since >= self.until:
            raise ValueError(f"the window ends on {self.until}, before it begins on {self.since}")
        return self

    def window(self, timezone: str) -> tuple[datetime | None, datetime | None]:
        """Return start (included) and end (excluded) of the studies, at midnight of the time zone."""
        zone = ZoneInfo(timezone)
        start, end = (
            datetime.combine(day, time(), zone) if day else None for day in (self.since, self.until)
        )
        return start, end
