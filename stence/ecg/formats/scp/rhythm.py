"""Rhythm of SCP-ECG: section 6 with what it needs from sections 2 to 5 (EN 1064, 5.9)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from stence.ecg.formats.limits import Limits
from stence.ecg.formats.scp import beats, blocks, huffman, leads
from stence.ecg.formats.scp.sections import Section
from stence.ecg.reasons import Reason, refuse

_MILLIVOLTS = 1e-6
"""One nanovolt."""
_LONG_TERM = 12
_VERSION_3 = 30


def read(sections: Mapping[int, Section], limits: Limits) -> tuple[list[str], NDArray[np.float32], float]:
    """Return the stored leads' names, their signal (k, n) in millivolts, and the sampling rate in Hz.

    Samples outside a lead's own span are NaN. Raises UnusableEcgError.
    """
    _check_present(sections)
    layout = leads.read(sections[3], limits)
    data = blocks.read(sections[6], len(layout.spans))
    _check_not_bimodal(sections[6], data)
    tables = huffman.read(sections[2]) if 2 in sections else None
    reference = None
    if layout.is_subtracted:
        reference = beats.read(sections, len(layout.spans), data.interval, limits)
    whole = layout.whole
    signal = np.full((len(layout.chosen), whole.samples), np.nan, np.float32)
    for row, lead in enumerate(layout.chosen.values()):
        span = layout.spans[lead]
        steps = blocks.samples(data.leads[lead], span.samples, data.differences, tables)
        nanovolts = steps.astype(np.int64) * data.step
        if reference:
            reference.add(nanovolts, span, lead, tables)
        signal[row, span.first - whole.first : span.last - whole.first + 1] = nanovolts * _MILLIVOLTS
    return list(layout.chosen), signal, 1e6 / data.interval


def _check_present(sections: Mapping[int, Section]) -> None:
    if _LONG_TERM in sections and 6 not in sections:
        raise refuse(Reason.UNSUPPORTED_FORMAT, "SCP-ECG with its rhythm in section 12 (version 3)")
    missing = [number for number in (3, 6) if number not in sections]
    if missing:
        detail = f"the SCP-ECG file has no section {missing[0]}, so no rhythm"
        raise refuse(Reason.MISSING_LEADS, detail, value=0)


def _check_not_bimodal(section: Section, data: blocks.Blocks) -> None:
    """Refuse a lower rate between beats. Version 3 has no such compression, and reserves the flag."""
    if data.flag and section.protocol < _VERSION_3:
        raise refuse(Reason.UNSUPPORTED_FORMAT, "SCP-ECG with bimodal compression")
