"""Artefacts are found in their lead, exchanged and inverted leads are named; misjudged cases stay right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stence.domain.signal_quality import QualityLimits
from stence.ecg import LEADS, POLICY, Action, Finding, Reason, Recording, check, read
from stence.ecg.profile import profile
from support.disturbed import (
    DATA,
    SIGNAL,
    TIME,
    drifting,
    exchange,
    findings,
    quarantines,
    set_to,
    turn,
)
from support.noisy_ecgs import WANDER_HZ, exchanged_arms, noisy, sound


def shaken(lead: np.ndarray) -> None:
    """A fifth of a second of motion, four times as high as the beats."""
    lead[2000:2100] += np.float32(4 * np.ptp(lead)) * np.hanning(100).astype(np.float32)


def trembling(lead: np.ndarray) -> None:
    """Two and a half seconds of muscle noise."""
    noise = np.random.default_rng(1).normal(0, 0.5 * np.ptp(lead), 1250)
    lead[1000:2250] += noise.astype(np.float32)


def scrambled(lead: np.ndarray) -> None:
    """Slow waves that no beat repeats, as high as the beats."""
    rng, time = np.random.default_rng(2), TIME
    for frequency in (2.3, 3.1, 4.7):
        lead += np.float32(0.4 * np.ptp(lead)) * np.sin(2 * np.pi * frequency * time + rng.uniform(0, 6))


@pytest.mark.parametrize(
    ("change", "reason"),
    [(shaken, Reason.MOTION), (trembling, Reason.MUSCLE_NOISE), (scrambled, Reason.UNLIKE_BEATS)],
)
@pytest.mark.parametrize("lead", ["V2", "V5"])
def test_an_artefact_is_found_in_its_lead(
    change: Callable[[np.ndarray], None], reason: Reason, lead: str
) -> None:
    found = findings(change, lead)
    assert reason in {finding.reason for finding in found}
    assert {finding.lead for finding in found} == {lead}
    assert all(finding.value > 0 for finding in found)  # type: ignore[operator]
    assert POLICY[reason] is Action.QUARANTINE


def nudged(signal: np.ndarray, *leads: str) -> list[Finding]:
    """Findings of an ECG in which leads move 2.4 to 2.7 times as far as in a beat, one after another."""
    for number, lead in enumerate(leads):
        values = signal[LEADS.index(lead)]
        values[1000 * number + 500 : 1000 * number + 1000] = 0
        values[1000 * number + 700 : 1000 * number + 800] = 2.1 * amplitude(lead) * np.hanning(100)
    return check(Recording(signal, 500.0))


def amplitude(lead: str) -> float:
    """Height of a lead's beats, or of the median lead's."""
    found = profile(Recording(SIGNAL, 500.0))
    heights = found.r_mv + found.s_mv
    return float(max(heights[LEADS.index(lead)], np.median(heights)))


@pytest.mark.parametrize(
    ("leads", "reason"),
    [
        (("V4",), Reason.DISTURBED_LEAD),
        (("V2", "V4"), Reason.DISTURBED_LEAD),
        (("V2", "V4", "V6"), Reason.MOTION),
    ],
)
def test_mild_artefacts_warn_in_two_leads_and_refuse_in_three(leads: tuple[str, ...], reason: Reason) -> None:
    found = nudged(SIGNAL.copy(), *leads)
    assert [(finding.reason, finding.lead) for finding in found] == [(reason, lead) for lead in leads]


def test_an_extrasystole_in_all_leads_is_no_motion() -> None:
    signal = SIGNAL.copy()
    signal[:, 2000:2200] += 2 * np.ptp(SIGNAL, axis=1, keepdims=True) * np.hanning(200).astype(np.float32)
    assert Reason.MOTION not in {finding.reason for finding in check(Recording(signal, 500.0))}


def test_noise_in_all_leads_has_no_beats() -> None:
    noise = np.random.default_rng(3).normal(0, 0.1, (12, 5000)).astype(np.float32)
    (found,) = check(Recording(noise, 500.0))
    assert (found.reason, found.value) == (Reason.NO_BEATS, 0)
    assert POLICY[Reason.NO_BEATS] is Action.QUARANTINE


def test_three_seconds_without_three_beats_are_not_judged() -> None:
    assert Reason.NO_BEATS not in {
        finding.reason for finding in check(Recording(SIGNAL[:, 3000:4500], 500.0))
    }


def test_a_pacing_spike_is_no_implausible_amplitude_and_an_infinite_one_is() -> None:
    def reasons(value: float) -> set[Reason]:
        return {finding.reason for finding in findings(set_to(value, 700, 2))}

    assert Reason.IMPLAUSIBLE_AMPLITUDE not in reasons(14.0)
    assert Reason.IMPLAUSIBLE_AMPLITUDE in reasons(np.inf)


def test_a_value_repeated_to_the_end_is_no_rail() -> None:
    def hold(lead: np.ndarray) -> None:
        lead *= np.float32(0.2)
        lead[-60:] = lead.mean() + np.float32(0.6)

    assert Reason.CLIPPING not in {finding.reason for finding in findings(hold)}


@pytest.mark.parametrize("lead", ["I", "II", "III", "aVR", "aVL", "aVF", "V4", "V5", "V6"])
def test_a_lead_upside_down_is_named(lead: str) -> None:
    signal = SIGNAL.copy()
    turn(lead)(signal)
    found = {finding.reason: finding for finding in check(Recording(signal, 500.0))}
    assert found[Reason.INVERTED_LEAD].lead == lead
    assert POLICY[Reason.INVERTED_LEAD] is Action.QUARANTINE


@pytest.mark.parametrize(("one", "other"), [("aVL", "aVF"), ("I", "II"), ("III", "aVL"), ("aVR", "V1")])
def test_leads_under_exchanged_names_are_both_named(one: str, other: str) -> None:
    signal = SIGNAL.copy()
    exchange(one, other)(signal)
    (found,) = [
        finding for finding in check(Recording(signal, 500.0)) if POLICY[finding.reason] is Action.QUARANTINE
    ]
    assert found.reason is Reason.LEADS_EXCHANGED
    assert found.detail.startswith(f"{one} and {other} are exchanged")


def test_leads_scaled_one_by_one_are_not_explained_by_an_exchange() -> None:
    assert [finding.reason for finding in check(read(DATA / "1"))] == [Reason.LIMB_LEADS_CONTRADICT]


def test_limits_are_those_given() -> None:
    drifted = SIGNAL.copy()
    drifting(2.3)(drifted[LEADS.index("V2")])
    assert [finding.reason for finding in check(Recording(drifted, 500.0))] == [Reason.BASELINE_WANDER]
    assert check(Recording(drifted, 500.0), QualityLimits(max_wander_mv=2.5)) == []


def test_the_version_tells_which_limits_are_not_the_defaults() -> None:
    default, one, other = QualityLimits(), QualityLimits(max_wander_mv=3), QualityLimits(max_wander_mv=4)
    assert len({default.version, one.version, other.version}) == 3
    assert QualityLimits(max_wander_mv=2).version == default.version
    assert one.version.startswith(f"{default.version}+")


CASES = {
    "contradicting-leads/JS20001": set(),
    "contradicting-leads/swapped": {Reason.LEADS_EXCHANGED, Reason.LIMB_LEADS_CONTRADICT},
    "contradicting-leads/101": {Reason.LIMB_LEADS_CONTRADICT},
    "gate-misses/1105115": {Reason.MOTION, Reason.MUSCLE_NOISE, Reason.UNLIKE_BEATS},
    "gate-misses/1532215": {Reason.MOTION, Reason.UNLIKE_BEATS},
    "one-bad-lead-rate/2705121": {Reason.MOTION},
    "one-bad-lead-rate/2729748": {Reason.MOTION},
    "isoelectric-lead/1073952": set(),
    "isoelectric-lead/1238368": set(),
    "reversal-false/1508620": set(),
    "reversal-false/2522140": set(),
    "reversal-true/1887783": {Reason.LIMB_LEAD_REVERSAL},
    "reversal-true/2339728": {Reason.LIMB_LEAD_REVERSAL},
    "held-tail/HR06006": set(),
    "pacing-spikes/JS23463": {Reason.DISTURBED_LEAD},
}


@pytest.mark.shared
@pytest.mark.parametrize("case", CASES)
def test_cases_that_were_judged_wrongly_once(shared: Path, case: str) -> None:
    found = check(read(shared / "findings/ecg" / f"{case}.hea"))
    assert {finding.reason for finding in found} == CASES[case]


@pytest.mark.shared
@pytest.mark.parametrize("record", ["2705121", "2729748"])
def test_of_an_ecg_with_one_bad_lead_that_lead_is_named(shared: Path, record: str) -> None:
    found = check(read(shared / f"findings/ecg/one-bad-lead-rate/{record}.hea"))
    assert {finding.lead for finding in found} == {"V3"}


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize(
    ("half", "above", "ecgs", "leads"),
    [(0, WANDER_HZ, 0.98, 0.96), (0, 0, 0.98, 0.94), (1, WANDER_HZ, 0.98, 0.96), (1, 0, 0.88, 0.80)],
)
def test_noise_of_other_records_is_found_at_minus_6_db(
    shared: Path, half: int, above: float, ecgs: float, leads: float
) -> None:
    """Limits were chosen on half 0; `tests/benchmarks/signal_gate.py` prints all figures."""
    noise = list(noisy(shared, half, -6, above))
    named = [{finding.lead for finding in check(ecg.recording)} for ecg in noise]
    assert np.mean([quarantines(ecg.recording) for ecg in noise]) > ecgs
    hits = np.array([np.isin(LEADS, list(lead)) for lead in named], dtype=bool)
    decibels = np.array([ecg.decibels for ecg in noise])
    assert hits[decibels < 1.5].mean() > leads
    assert hits[decibels > 11].mean() < 0.02
    assert np.mean([quarantines(ecg) for _, ecg in sound(shared, half)]) < 0.04


@pytest.mark.shared
@pytest.mark.parametrize("folder", ["ludb", "cinc2021"])
def test_exchanged_arms_are_found_and_never_seen_where_they_are_not(shared: Path, folder: str) -> None:
    recordings = [read(header) for header in sorted((shared / "data" / folder).glob("*.hea"))]

    def warned(recording: Recording) -> bool:
        return Reason.LIMB_LEAD_REVERSAL in {finding.reason for finding in check(recording)}

    assert not any(map(warned, recordings))
    assert np.mean([warned(exchanged_arms(recording)) for recording in recordings]) >= 0.85
