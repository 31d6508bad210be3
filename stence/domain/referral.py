"""Sample weights that correct for the choice of patients who were sent to the catheter laboratory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Referral:
    """``sample_weight`` by patient identifier. A missing patient has weight 1.

    ``summary`` describes the computation of the weights, without any identifier.
    """

    sample_weight: Mapping[str, float] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)
