"""A good real ECG, and changes of one of its leads that the quality check must see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from stence.ecg import LEADS, POLICY, Action, Finding, Recording, check, read
from stence.ecg.leads import complete

DATA = Path(__file__).parents[1] / "data" / "wfdb"
STORED = read(DATA / "1.hea").signal
"""Each lead scaled by itself, as its archive publishes it: its limb leads contradict each other."""
SIGNAL = complete([*LEADS[:2], *LEADS[6:]], np.ascontiguousarray(STORED[[0, 1, *range(6, 12)]]))
TIME = np.arange(SIGNAL.shape[1], dtype=np.float32) / 500


def quarantines(recording: Recording) -> bool:
    return any(POLICY[finding.reason] is Action.QUARANTINE for finding in check(recording))


def findings(change: Callable[[np.ndarray], object], lead: str = "V2") -> list[Finding]:
    signal = SIGNAL.copy()
    change(signal[LEADS.index(lead)])
    return check(Recording(signal, 500.0))


def set_to(value: float, first: int, count: int) -> Callable[[np.ndarray], None]:
    def change(lead: np.ndarray) -> None:
        lead[first : first + count] = value

    return change


def drifting(millivolts: float) -> Callable[[np.ndarray], None]:
    """From the first second to the last, which lie nine apart."""

    def change(lead: np.ndarray) -> None:
        lead += np.float32(millivolts / 9) * TIME

    return change


def turn(lead: str) -> Callable[[np.ndarray], None]:
    def change(signal: np.ndarray) -> None:
        signal[LEADS.index(lead)] *= -1

    return change


def exchange(one: str, other: str) -> Callable[[np.ndarray], None]:
    def change(signal: np.ndarray) -> None:
        signal[[LEADS.index(one), LEADS.index(other)]] = signal[[LEADS.index(other), LEADS.index(one)]]

    return change
