"""Map stored channels to leads, and derive missing limb leads from two others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stence.ecg.reasons import Reason, refuse
from stence.ecg.recording import LEADS

MAX_NAME_CHARACTERS = 64
"""Longer names are no lead names. A regular expression could take minutes on a hostile long name."""

_ALIASES = (
    {lead.upper(): lead for lead in LEADS}
    | {"D1": "I", "D2": "II", "D3": "III", "DI": "I", "DII": "II", "DIII": "III"}  # Romance usage
    | {f"C{number}": f"V{number}" for number in range(1, 7)}  # the electrode's name, IEC 60601-2-25
)
_REMARKS = frozenset(
    {
        *("EINTHOVEN", "WILSON", "GOLDBERGER"),
        *("STANDARD", "STD", "CONVENTIONAL", "12-LEAD", "12 LEAD", "RESTING", "REST", "AHA", "IEC"),
        *("LIMB", "AUGMENTED", "CHEST", "PRECORDIAL", "BIPOLAR", "UNIPOLAR"),
        *("MV", "UV", "\u039cV", "MICROVOLT", "MILLIVOLT"),  # U+039C is the capital of both micro signs
    }
)
"""Remarks in brackets that do not change the lead. Others do, such as (R) or (inverted)."""
_PREFIX = re.compile(r"(MDC_ECG_LEAD_|(ECG|EKG|LEAD)[ _:]*)+")
_REMARK = re.compile(r"([^()]*)\(([^()]*)\)")
_JOINT = re.compile(r"(?<=[ADVC])[ _](?=[VRLFI1-6])")
"""Separator inside a lead name: "V 1", "aV_R", "D II". "I II" has none, so it does not become lead III."""

STANDARD_CODES = dict(zip((1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8), LEADS, strict=True))
"""Leads by their number in MDC and SCPECG (PS3.16 CID 3001)."""
_CODE = re.compile(r"(?:2:|5\.6\.3-9-)([0-9]{1,4})")
_UNSPECIFIED = 0

_LIMB = LEADS[:6]
_FROM_I_AND_II = np.array(
    [[1, 0], [0, 1], [-1, 1], [-0.5, -0.5], [1, -0.5], [-0.5, 1]],  # I II III aVR aVL aVF
)


def lead_of_name(name: str) -> str | None:
    """Return the lead that a channel name means, or None. Case does not matter, usual aliases are known.

    Modified leads (``MLII``, ``V4(R)``, ``aVR (inverted)``) are other leads and give None.

    >>> lead_of_name("MDC_ECG_LEAD_AVR"), lead_of_name("v 1"), lead_of_name("MLII")
    ('aVR', 'V1', None)
    """
    return _lead_of_name(name) if len(name) <= MAX_NAME_CHARACTERS else None


@lru_cache(1024)  # of short names only: it keeps them
def _lead_of_name(name: str) -> str | None:
    plain = name.strip(" \t_").upper()
    plain = plain[match.end() :] if (match := _PREFIX.match(plain)) else plain
    if remark := _REMARK.fullmatch(plain):
        if remark[2].strip() not in _REMARKS:
            return None
        plain = remark[1]
    return _ALIASES.get(_JOINT.sub("", plain.strip(" \t_")))


def is_lead_code(code: str) -> bool:
    """Return True if ``code`` identifies any lead. The channel's name then does not count."""
    return _code_number(code) != _UNSPECIFIED


def lead_of_code(code: str) -> str | None:
    """Return the lead of a DICOM channel source code (PS3.16 CID 3001), or None for another lead.

    Codes are MDC ``2:n`` or SCPECG ``5.6.3-9-n``.
    """
    return STANDARD_CODES.get(_code_number(code))


def _code_number(code: str) -> int:
    match = _CODE.fullmatch(code.strip())
    return int(match[1]) if match else _UNSPECIFIED


def find_leads(channels: Sequence[str | None]) -> dict[str, int]:
    """Return the channel number of each stored lead, given the lead of every channel.

    Raises UnusableEcgError if two channels have the same lead, because the right one is unknown. Raises it
    also if missing leads cannot be derived from the stored leads.
    """
    where: dict[str, int] = {}
    for channel, lead in enumerate(channels):
        if lead in where:
            raise refuse(Reason.DOUBLED_LEAD, f"{lead} is stored twice; the right one is unknown", lead)
        if lead is not None:
            where[lead] = channel
    limb = sum(lead in where for lead in _LIMB)
    missing = [lead for lead in LEADS if lead not in where and (lead not in _LIMB or limb < 2)]
    if missing:
        have, lack = len(where), ", ".join(missing)
        raise refuse(Reason.MISSING_LEADS, f"{have} of the 12 leads are stored; no {lack}", value=have)
    return {lead: where[lead] for lead in LEADS if lead in where}


def complete(stored: Sequence[str], signal: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return all twelve leads (12, n) from the stored leads (k, n), which are ordered as by ``find_leads``.

    Any two limb leads determine I and II. I and II determine the other four: III = II - I,
    aVR = -(I + II)/2, aVL = I - II/2, aVF = II - I/2 (Einthoven's law and Goldberger's definitions).
    """
    if len(stored) == len(LEADS):
        return signal
    pair = _FROM_I_AND_II[[_LIMB.index(lead) for lead in stored[:2]]]
    derive = (_FROM_I_AND_II @ np.linalg.inv(pair)).astype(np.float32)
    row = {lead: index for index, lead in enumerate(stored)}
    full = np.empty((len(LEADS), signal.shape[1]), dtype=np.float32)
    for index, lead in enumerate(LEADS):
        full[index] = signal[row[lead]] if lead in row else derive[index] @ signal[:2]
    return full


def shift(samples: NDArray[np.float32], by: int) -> None:
    """Move one channel (n,) later by ``by`` samples (earlier if negative) in place. The gap becomes NaN."""
    by = max(-len(samples), min(len(samples), by))
    if by > 0:
        samples[by:] = samples[:-by].copy()
        samples[:by] = np.nan
    elif by < 0:
        samples[:by] = samples[-by:].copy()
        samples[by:] = np.nan
