"""ECGs: reading them, judging their quality, preparing them for a model."""

from __future__ import annotations

from stence.ecg.reasons import POLICY, Action, Finding, Reason, UnusableEcgError
from stence.ecg.recording import LEADS, Recording

__all__ = [
    "LEADS",
    "POLICY",
    "Action",
    "Finding",
    "Reason",
    "Recording",
    "UnusableEcgError",
]
