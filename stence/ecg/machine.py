"""Statements, measurements and filters of the electrocardiograph, in one set of names for all formats."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from stence.domain.text import plain_text

MEASUREMENTS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "heart_rate": (10, 400),
        "rr_ms": (150, 6000),
        "p_ms": (10, 500),
        "pr_ms": (20, 1000),
        "qrs_ms": (20, 500),
        "qt_ms": (100, 1500),
        "qtc_ms": (100, 1500),
        "p_axis": (-360, 360),
        "qrs_axis": (-360, 360),
        "t_axis": (-360, 360),
    }
)
"""Global measurements and their plausible values: rate in 1/min, durations in ms, axes in degrees."""
_WORDS = {
    "heart_rate": "rate {:g}/min",
    "rr_ms": "RR {:g} ms",
    "p_ms": "P {:g} ms",
    "pr_ms": "PR {:g} ms",
    "qrs_ms": "QRS {:g} ms",
    "qt_ms": "QT {:g} ms",
    "qtc_ms": "QTc {:g} ms",
    "p_axis": "P axis {:g}\u00b0",
    "qrs_axis": "QRS axis {:g}\u00b0",
    "t_axis": "T axis {:g}\u00b0",
}
MAX_STATEMENTS = 64


def measurements(given: Mapping[str, float | None]) -> Mapping[str, float]:
    """Return the plausible measurements by the names of ``MEASUREMENTS``. Machines write 0 or -1 for none.

    >>> dict(measurements({"qrs_ms": 94, "qt_ms": -1, "pr_ms": None}))
    {'qrs_ms': 94.0}
    """
    plausible = {
        name: float(value)
        for name, value in given.items()
        if value is not None and MEASUREMENTS[name][0] <= value <= MEASUREMENTS[name][1]
    }
    return MappingProxyType(plausible)


def in_words(given: Mapping[str, float]) -> str:
    """Describe measurements for a reader.

    >>> in_words({"qrs_ms": 94.0, "heart_rate": 71.0})
    'rate 71/min, QRS 94 ms'
    """
    return ", ".join(words.format(given[name]) for name, words in _WORDS.items() if name in given)


def statements(given: Iterable[str]) -> tuple[str, ...]:
    """Return the machine's statements as printable lines of bounded number and length, without repetitions.

    >>> statements(["Normal  ECG", "", "Normal ECG"])
    ('Normal ECG',)
    """
    lines = dict.fromkeys(filter(None, map(plain_text, given)))
    return tuple(lines)[:MAX_STATEMENTS]


def filters(
    high_pass: float | None = None, low_pass: float | None = None, notch: float | None = None
) -> str | None:
    """Describe the filters that the machine applied to the signal. Cut-off frequencies are in Hz.

    >>> filters(0.05, 150, 50)
    '0.05 to 150 Hz, notch 50 Hz'
    """
    low, high, mains = (value if _is_frequency(value) else None for value in (high_pass, low_pass, notch))
    band = f"{low:g} to {high:g} Hz" if low and high else f"from {low:g} Hz" if low else ""
    band = band or (f"to {high:g} Hz" if high else "")
    return ", ".join(part for part in (band, f"notch {mains:g} Hz" if mains else "") if part) or None


def _is_frequency(value: float | None) -> bool:
    return value is not None and math.isfinite(value) and 0 < value <= 10_000
