"""Quality check of a recording: typed findings, with the lead and the measured value."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stence.ecg.measures import Measures, measure
from stence.ecg.reasons import Finding, Reason
from stence.ecg.recording import LEADS, Recording

MIN_SECONDS = 3.0
"""Length of a model's window."""
MIN_SAMPLING_RATE, MAX_SAMPLING_RATE = 100.0, 32_000.0
"""Hz. A lower rate cannot represent a QRS complex (up to 40 Hz). No recorder uses a higher rate."""
MAX_INVALID_SHARE = 0.05
"""Largest share of invalid samples, which count as 0 afterwards. In 10 s this hides at most one beat."""
MIN_SPAN = 0.05
"""mV, half a millimetre on paper. In 152 real recordings every beat of every lead reaches 0.1."""
MAX_FROZEN_SECONDS = 1.5
"""Longest run of one repeated value. A longer run means a lead off. Good recordings have at most 0.55 s."""
MAX_CLIPPED_SHARE, MIN_RAIL = 0.005, 0.5
"""Largest share of samples at the rail (50 ms of 10 s). A rail is at least so far (mV) from the mean."""
MAX_AMPLITUDE = 10.0
"""mV from the mean. The largest QRS complexes of severe hypertrophy reach 8 to 9."""
MAX_WANDER = 2.0
"""mV, over means of one second. Good recordings stay below 1."""
MAX_MAINS = 0.1
"""mV, a band of 2 mm around the trace on paper. Good recordings stay below 0.04."""
MIN_I_V6_CORRELATION = -0.5
"""Exchanged arm electrodes invert lead I and do not change V6. One of 144 good recordings lies below, with
right axis deviation. With exchanged arm electrodes 92 % lie below."""

MAX_CONTRADICTION = 0.3
"""III, aVR, aVL and aVF follow from I and II. The largest contradiction in 842 real ECGs is 0.18. With two
exchanged leads or one inverted lead it is over 1."""


def check(recording: Recording) -> list[Finding]:
    """Return all findings, including those for which ``POLICY`` only warns. A good recording has none.

    >>> flat = Recording(np.zeros((12, 5000), np.float32), sampling_rate=500)
    >>> check(flat)[0].detail
    'I: flat: 0.000 mV from lowest to highest sample'
    """
    rate, seconds = recording.sampling_rate, recording.seconds
    if not MIN_SAMPLING_RATE <= rate <= MAX_SAMPLING_RATE:
        return [Finding(Reason.IMPLAUSIBLE_SAMPLING_RATE, f"sampled at {rate:g} Hz", value=rate)]
    if seconds < MIN_SECONDS:
        detail = f"{seconds:.2f} s long; {MIN_SECONDS:g} s are needed"
        return [Finding(Reason.TOO_SHORT, detail, value=seconds)]
    measures = measure(recording, run=MAX_FROZEN_SECONDS, rail=MIN_RAIL)
    bad = _check_leads(measures)
    wrong = (
        [] if bad else _check_contradiction(measures.contradiction)
    )  # a bad lead also contradicts the others
    return [*bad, *_check_reversal(measures.i_v6_correlation), *wrong, *_check_copies(measures.copied)]


def _check_leads(measures: Measures) -> list[Finding]:
    invalid = measures.invalid_share > MAX_INVALID_SHARE
    flat = (measures.span < MIN_SPAN) & ~invalid
    clipped = measures.clipped_share > MAX_CLIPPED_SHARE
    rules: tuple[tuple[Reason, NDArray[np.bool], NDArray[np.float64], str], ...] = (
        (Reason.INVALID_SAMPLES, invalid, measures.invalid_share, "{:.1%} of the samples are invalid"),
        (Reason.FLAT_LEAD, flat, measures.span, "flat: {:.3f} mV from lowest to highest sample"),
        (
            Reason.LEAD_OFF,
            (measures.frozen_seconds > MAX_FROZEN_SECONDS) & ~flat,
            measures.frozen_seconds,
            "constant value for {:.2f} s",
        ),
        (Reason.CLIPPING, clipped, measures.clipped_share, "{:.1%} of the samples are at the rail"),
        (
            Reason.IMPLAUSIBLE_AMPLITUDE,
            measures.amplitude > MAX_AMPLITUDE,
            measures.amplitude,
            "{:.1f} mV from its mean",
        ),
        (Reason.MAINS_NOISE, measures.mains > MAX_MAINS, measures.mains, "mains hum of {:.2f} mV"),
        (
            Reason.BASELINE_WANDER,
            measures.wander > MAX_WANDER,
            measures.wander,
            "baseline wanders over {:.1f} mV",
        ),
    )
    return [
        Finding(reason, f"{LEADS[lead]}: {text.format(values[lead])}", LEADS[lead], float(values[lead]))
        for reason, found, values, text in rules
        if found.any()
        for lead in np.flatnonzero(found)
    ]


def _check_reversal(correlation: float) -> list[Finding]:
    if correlation >= MIN_I_V6_CORRELATION:
        return []
    detail = f"lead I runs against V6 (correlation {correlation:.2f}): arm electrodes exchanged?"
    return [Finding(Reason.LIMB_LEAD_REVERSAL, detail, "I", correlation)]


def _check_contradiction(contradiction: float) -> list[Finding]:
    if contradiction <= MAX_CONTRADICTION:
        return []
    detail = (
        f"limb leads contradict each other ({contradiction:.2f}; good ECGs stay below 0.2): "
        "names exchanged, a lead inverted, or leads scaled separately?"
    )
    return [Finding(Reason.LIMB_LEADS_CONTRADICT, detail, value=contradiction)]


def _check_copies(copied: tuple[str, str] | None) -> list[Finding]:
    if copied is None:
        return []
    one, other = copied
    return [Finding(Reason.COPIED_LEAD, f"{one} and {other} are the same in every sample", other)]
