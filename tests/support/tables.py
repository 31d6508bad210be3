"""Layouts of tables."""

from __future__ import annotations

from typing import Any

from stence.ecg import LEADS
from stence.ecg.formats.tables import Layout


def layout(**changes: Any) -> Layout:
    """Of twelve leads in microvolts at 250 Hz."""
    return Layout(**{"suffix": ".csv", "columns": LEADS, "unit": "uV", "sampling_rate": 250} | changes)
