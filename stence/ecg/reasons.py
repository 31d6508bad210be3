"""Every reason for which an ECG is refused or warned of, and the policy that says which is which."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, auto
from types import MappingProxyType

from stence.domain.text import plain_text
from stence.errors import StenceError


class Reason(StrEnum):
    """Typed reasons; the values are stored in ``quarantine.reason`` and never change their meaning."""

    # the object in the store
    OBJECT_MISSING = auto()
    OBJECT_TOO_LARGE = auto()
    OBJECT_FORBIDDEN = auto()
    OBJECT_UNREADABLE = auto()
    # the file
    UNSUPPORTED_FORMAT = auto()
    BROKEN_HEADER = auto()
    TRUNCATED = auto()
    CHECKSUM_MISMATCH = auto()
    BROKEN_SIGNAL = auto()
    MISSING_LEADS = auto()
    DOUBLED_LEAD = auto()
    UNKNOWN_UNIT = auto()
    IMPLAUSIBLE_SIZE = auto()
    # whose it is
    UNKNOWN_PATIENT = auto()
    UNREADABLE_PATIENT = auto()
    PATIENT_MISMATCH = auto()
    PATIENT_CONFLICT = auto()
    # the signal
    IMPLAUSIBLE_SAMPLING_RATE = auto()
    TOO_SHORT = auto()
    INVALID_SAMPLES = auto()
    FLAT_LEAD = auto()
    LEAD_OFF = auto()
    CLIPPING = auto()
    IMPLAUSIBLE_AMPLITUDE = auto()
    MAINS_NOISE = auto()
    BASELINE_WANDER = auto()
    LIMB_LEAD_REVERSAL = auto()
    LIMB_LEADS_CONTRADICT = auto()
    COPIED_LEAD = auto()
    # the model
    SCORE_NOT_FINITE = auto()
    # the database
    UNWRITABLE = auto()


class Action(StrEnum):
    """What a finding does to its ECG."""

    QUARANTINE = auto()
    WARN = auto()


WARNINGS = frozenset({Reason.LIMB_LEAD_REVERSAL, Reason.LIMB_LEADS_CONTRADICT, Reason.COPIED_LEAD})

POLICY: Mapping[Reason, Action] = MappingProxyType(
    {reason: Action.WARN if reason in WARNINGS else Action.QUARANTINE for reason in Reason}
)


MAX_DETAIL_CHARACTERS = 1000
MAX_LEAD_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with an ECG: ``detail`` tells a person; ``lead`` and ``value`` where it has them.

    Whatever a file put into them, they can be written to a table: texts are printable and of bounded
    length, the value is a finite number or None.
    """

    reason: Reason
    detail: str
    lead: str | None = None
    value: float | None = None

    def __post_init__(self) -> None:
        detail = plain_text(self.detail, MAX_DETAIL_CHARACTERS) or str(self.reason)
        object.__setattr__(self, "detail", detail)
        object.__setattr__(self, "lead", plain_text(self.lead or "", MAX_LEAD_CHARACTERS))
        object.__setattr__(self, "value", _finite(self.value))


def _finite(value: float | None) -> float | None:
    """``value`` as a float; None for NaN, infinity, and whole numbers that no float holds."""
    try:
        number = math.nan if value is None else float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


class UnusableEcgError(StenceError):
    """The ECG cannot be read; ``finding`` says why. It goes to quarantine."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.detail)
        self.finding = finding


def refuse(
    reason: Reason, detail: str, lead: str | None = None, value: float | None = None
) -> UnusableEcgError:
    """The error to raise."""
    return UnusableEcgError(Finding(reason, detail, lead, value))
