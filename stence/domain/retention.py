"""How long rows are kept, by kind."""

from __future__ import annotations

from dataclasses import astuple, dataclass, field
from datetime import datetime, timedelta
from typing import Any


def _days(description: str) -> Any:
    return field(default=0, metadata={"description": f"{description} 0: they stay."})


@dataclass(frozen=True, slots=True)
class Retention:
    """Days after which rows are removed; the group ``retention`` of the settings. 0 keeps them.

    >>> Retention(pages_days=30).is_limited, Retention().is_limited
    (True, False)
    """

    scores_days: int = _days("Age of an ECG after which its scores, flags, reviews and page are removed.")
    embeddings_days: int = _days("Age of an ECG after which its projected embedding is removed.")
    measurements_days: int = _days("Age of an ECG after which its measurements for drift are removed.")
    pages_days: int = _days("Days after which a page of a flagged ECG is removed.")
    quarantine_days: int = _days("Days after which a closed quarantine row is removed.")

    def __post_init__(self) -> None:
        if any(days < 0 for days in astuple(self)):
            raise ValueError("days must not be negative; 0 keeps all rows")

    def oldest(self, kind: str, now: datetime) -> datetime | None:
        """Return the time before which rows of a kind are removed; None if they stay."""
        days = int(getattr(self, f"{kind}_days"))
        return now - timedelta(days=days) if days else None

    @property
    def is_limited(self) -> bool:
        """True if anything is removed."""
        return any(astuple(self))


KEEP_ALL = Retention()
