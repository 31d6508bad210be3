"""Quality check of a recording: typed findings, with the lead and the measured value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stence.domain.signal_quality import DEFAULT_QUALITY, QualityLimits
from stence.ecg.beats import MIN_BEATS
from stence.ecg.lead_relations import Products, contradiction, correlations, explain, inverted_chest_leads
from stence.ecg.measures import Measures, measure
from stence.ecg.reasons import Finding, Reason
from stence.ecg.recording import LEADS, Recording

MIN_SECONDS = 3.0
"""Length of a model's window."""
MIN_SAMPLING_RATE, MAX_SAMPLING_RATE = 100.0, 32_000.0
"""Hz. A lower rate cannot represent a QRS complex (up to 40 Hz). No recorder uses a higher rate."""
MIN_BEAT_SECONDS = 6.0
"""In this time the slowest heart that is recorded at rest, of 30/min, has beaten three times."""
_I, _V6 = LEADS.index("I"), LEADS.index("V6")


class Rule(NamedTuple):
    """One way in which a lead can be bad: a value (12,) over its limit."""

    reason: Reason
    values: NDArray[np.float64]
    limit: float
    text: str
    """Format of a value."""

    def findings(self, also: NDArray[np.bool] | bool = True) -> Iterator[Finding]:
        """Yield a finding per bad lead; ``also`` is a further condition (12,)."""
        for lead in ((self.values > self.limit) & also).nonzero()[0]:
            value, name = float(self.values[lead]), LEADS[lead]
            yield Finding(self.reason, f"{name}: {self.text.format(value)}", name, value)


def check(recording: Recording, limits: QualityLimits = DEFAULT_QUALITY) -> list[Finding]:
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
    measures = measure(recording, limits)
    defects = list(_defects(measures, limits))
    artefacts = _artefacts(measures, limits, {finding.lead for finding in defects})
    copies = _check_copies(measures.copied)
    bad = [*defects, *(finding for finding in artefacts if finding.reason is not Reason.DISTURBED_LEAD)]
    if bad := bad or _check_beats(measures.beats, seconds):
        return [*bad, *copies]  # noise also contradicts between leads
    return [
        *artefacts,
        *_check_contradiction(measures.products, limits.max_contradiction),
        *_check_polarity(measures, limits.min_i_v6_correlation),
        *copies,
    ]


def _defects(measures: Measures, limits: QualityLimits) -> Iterator[Finding]:
    """Yield the defects of single leads, each of which refuses the ECG."""
    valid = measures.invalid_share <= limits.max_invalid_share
    flat = (measures.span < limits.min_span_mv) & valid
    yield from Rule(
        Reason.INVALID_SAMPLES,
        measures.invalid_share,
        limits.max_invalid_share,
        "{:.1%} of the samples are invalid",
    ).findings()
    yield from Rule(
        Reason.FLAT_LEAD, measures.span, -np.inf, "flat: {:.3f} mV from lowest to highest sample"
    ).findings(flat)
    yield from Rule(
        Reason.LEAD_OFF, measures.frozen_seconds, limits.max_frozen_seconds, "constant value for {:.2f} s"
    ).findings(~flat)
    yield from Rule(
        Reason.CLIPPING,
        measures.clipped_share,
        limits.max_clipped_share,
        "{:.1%} of the samples are at the rail",
    ).findings()
    yield from Rule(
        Reason.IMPLAUSIBLE_AMPLITUDE, measures.amplitude, limits.max_amplitude_mv, "{:.1f} mV from its mean"
    ).findings()
    yield from Rule(
        Reason.MAINS_NOISE, measures.mains, limits.max_mains_mv, "mains hum of {:.2f} mV"
    ).findings()
    yield from Rule(
        Reason.BASELINE_WANDER, measures.wander, limits.max_wander_mv, "baseline wanders over {:.1f} mV"
    ).findings()


def _artefacts(measures: Measures, limits: QualityLimits, defective: set[str | None]) -> list[Finding]:
    """Return the artefacts of leads without a defect. A few mild ones only disturb their leads."""
    rules = _artefact_rules(measures, limits)
    found = [
        (finding, finding.value or 0.0, rule.limit)
        for rule in rules
        for finding in rule.findings()
        if finding.lead not in defective
    ]
    few = len({finding.lead for finding, *_ in found}) + len(defective) <= limits.max_disturbed_leads
    mild = all(value <= limits.gross_factor * limit for _, value, limit in found)
    if few and mild:
        return [replace(finding, reason=Reason.DISTURBED_LEAD) for finding, *_ in found]
    return [finding for finding, *_ in found]


def _artefact_rules(measures: Measures, limits: QualityLimits) -> list[Rule]:
    found = measures.artefacts
    return [
        Rule(
            Reason.MOTION,
            found.excursion,
            limits.max_excursion,
            "moves {:.1f} times as far within a second as in a beat",
        ),
        Rule(
            Reason.MUSCLE_NOISE,
            found.noise,
            limits.max_noise,
            "noise above 40 Hz of {:.2f} times the amplitude of a beat",
        ),
        Rule(
            Reason.UNLIKE_BEATS,
            found.odd_beats,
            limits.max_odd_beats,
            "{:.0%} of its beats resemble no other beat",
        ),
    ]


def _check_beats(beats: int, seconds: float) -> list[Finding]:
    if beats >= MIN_BEATS or seconds < MIN_BEAT_SECONDS:
        return []
    return [Finding(Reason.NO_BEATS, f"{beats} beats found in {seconds:.0f} s", value=beats)]


def _check_contradiction(products: Products, largest: float) -> list[Finding]:
    """Return that limb leads contradict each other, and the exchange or inversion that explains it."""
    value = contradiction(products)
    if value <= largest:
        return []
    detail = f"limb leads contradict each other ({value:.2f}; good ECGs stay below 0.2)"
    leads = explain(products)
    if not leads:
        detail += ": leads scaled separately, or several faults at once?"
        return [Finding(Reason.LIMB_LEADS_CONTRADICT, detail, value=value)]
    contradict = Finding(Reason.LIMB_LEADS_CONTRADICT, detail, value=value)
    if len(leads) == 1:
        return [_inverted(leads[0], "the other limb leads", value), contradict]
    exchanged = f"{leads[0]} and {leads[1]} are exchanged: then no limb lead contradicts another"
    return [Finding(Reason.LEADS_EXCHANGED, exchanged, leads[0], value), contradict]


def _inverted(lead: str, others: str, value: float) -> Finding:
    return Finding(Reason.INVERTED_LEAD, f"{lead} is upside down against {others}", lead, value)


def _check_polarity(measures: Measures, smallest: float) -> list[Finding]:
    """Return chest leads that are upside down, and arm electrodes that are exchanged.

    Exchanged arm electrodes invert lead I and leave V6 as it is: the one is deep, the other upright.
    """
    related = correlations(measures.products)
    chest = inverted_chest_leads(related)
    found = [_inverted(lead, "its neighbours", value) for lead, value in chest]
    against = float(related[_I, _V6])
    if against < smallest and measures.upright == (False, True):
        detail = f"lead I runs against V6 (correlation {against:.2f}): arm electrodes exchanged?"
        found.append(Finding(Reason.LIMB_LEAD_REVERSAL, detail, "I", against))
    return found


def _check_copies(copied: tuple[str, str] | None) -> list[Finding]:
    if copied is None:
        return []
    one, other = copied
    return [Finding(Reason.COPIED_LEAD, f"{one} and {other} are the same in every sample", other)]
