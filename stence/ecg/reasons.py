"""Reasons for which an ECG is refused or gets a warning, and the policy that decides between both."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, auto
from types import MappingProxyType

from stence.domain.text import plain_text
from stence.errors import StenceError


class Reason(StrEnum):
    """Typed reasons. The values are stored in ``quarantine.reason``, and their meaning never changes.

    >>> POLICY[Reason("flat_lead")], POLICY[Reason.COPIED_LEAD]
    (<Action.QUARANTINE: 'quarantine'>, <Action.WARN: 'warn'>)
    """

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
    DECODER_DIED = auto()
    DECODE_MEMORY = auto()
    SEVERAL_ECGS = auto()
    UNSAFE_ARCHIVE = auto()
    # the patient
    UNKNOWN_PATIENT = auto()
    UNREADABLE_PATIENT = auto()
    PATIENT_MISMATCH = auto()
    PATIENT_CONFLICT = auto()
    OPTED_OUT = auto()
    # the age
    PAST_RETENTION = auto()
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
    MUSCLE_NOISE = auto()
    MOTION = auto()
    UNLIKE_BEATS = auto()
    NO_BEATS = auto()
    DISTURBED_LEAD = auto()
    LEADS_EXCHANGED = auto()
    INVERTED_LEAD = auto()
    LIMB_LEAD_REVERSAL = auto()
    LIMB_LEADS_CONTRADICT = auto()
    COPIED_LEAD = auto()
    # the model
    SCORE_NOT_FINITE = auto()
    # the database
    UNWRITABLE = auto()


class Action(StrEnum):
    """Consequence of a finding: the ECG goes to quarantine, or its score gets a warning."""

    QUARANTINE = auto()
    WARN = auto()


WARNINGS = frozenset(
    {
        Reason.DISTURBED_LEAD,
        Reason.LIMB_LEAD_REVERSAL,
        Reason.LIMB_LEADS_CONTRADICT,
        Reason.COPIED_LEAD,
    }
)

POLICY: Mapping[Reason, Action] = MappingProxyType(
    {reason: Action.WARN if reason in WARNINGS else Action.QUARANTINE for reason in Reason}
)


MAX_DETAIL_CHARACTERS = 1000
MAX_LEAD_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class Finding:
    """A defect of an ECG: ``detail`` is text for a person, ``lead`` and ``value`` are optional.

    All fields are safe to write to a table, whatever the file contained. Texts are printable and of bounded
    length. The value is a finite number or None.

    >>> Finding(Reason.FLAT_LEAD, "V1 is\\nflat", "V1", float("nan"))
    Finding(reason=<Reason.FLAT_LEAD: 'flat_lead'>, detail='V1 is flat', lead='V1', value=None)
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
    """Return ``value`` as a float; None for NaN, infinity, and integers too large for a float."""
    try:
        number = math.nan if value is None else float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


class UnusableEcgError(StenceError):
    """The ECG cannot be used and goes to quarantine. ``finding`` holds the reason.

    >>> UnusableEcgError(Finding(Reason.TOO_SHORT, "1.00 s long")).finding.reason
    <Reason.TOO_SHORT: 'too_short'>
    """

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.detail)
        self.finding = finding


def refuse(
    reason: Reason, detail: str, lead: str | None = None, value: float | None = None
) -> UnusableEcgError:
    """Build the error to raise."""
    return UnusableEcgError(Finding(reason, detail, lead, value))
