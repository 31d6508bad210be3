"""What patients count besides the number of their ECGs, because they were not sent by chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Referral:
    """What patients count, by identifier; who is not named counts 1. ``summary``, without any, says why."""

    counts: Mapping[str, float] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)
