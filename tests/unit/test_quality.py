"""Each fault is found in the lead that has it, and good recordings of several archives pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file

from stence.domain.signal_quality import QualityLimits
from stence.ecg import LEADS, POLICY, Action, Finding, Reason, Recording, check, read
from stence.ecg.leads import complete
from stence.ecg.profile import profile
from support.noisy_ecgs import exchanged_arms, noisy, set_a, sound

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


def flatten(lead: np.ndarray) -> None:
    lead[:] = 0.3


def unplug(lead: np.ndarray) -> None:
    lead[1000:2000] = lead[1000]


def invalidate(lead: np.ndarray) -> None:
    lead[:500] = np.nan


def saturate(lead: np.ndarray) -> None:
    lead *= 3
    np.clip(lead, -1.0, 1.0, out=lead)


def burst(lead: np.ndarray) -> None:
    lead[700:706] = 14.0


def hum(lead: np.ndarray) -> None:
    lead += np.float32(0.2) * np.sin(2 * np.pi * np.float32(50.03) * TIME)


def american_hum(lead: np.ndarray) -> None:
    lead += np.float32(0.2) * np.sin(2 * np.pi * np.float32(60.02) * TIME)


def drift(lead: np.ndarray) -> None:
    lead += 3 * np.sin(2 * np.pi * np.float32(0.1) * TIME)


FAULTS = [
    (flatten, Reason.FLAT_LEAD, 0.0),
    (unplug, Reason.LEAD_OFF, 2.0),
    (invalidate, Reason.INVALID_SAMPLES, 0.1),
    (burst, Reason.IMPLAUSIBLE_AMPLITUDE, 14.0),
    (hum, Reason.MAINS_NOISE, 0.2),
    (american_hum, Reason.MAINS_NOISE, 0.2),
    (drift, Reason.BASELINE_WANDER, 5.9),
]


@pytest.mark.parametrize(("change", "reason", "value"), FAULTS)
@pytest.mark.parametrize("lead", ["aVL", "V6"])
def test_each_fault_is_found_with_its_lead_and_value(
    change: Callable[[np.ndarray], None], reason: Reason, value: float, lead: str
):
    found = [finding for finding in findings(change, lead) if finding.reason is not Reason.LIMB_LEAD_REVERSAL]
    assert [(finding.reason, finding.lead) for finding in found] == [(reason, lead)]
    assert found[0].value == pytest.approx(value, rel=0.1, abs=0.01)
    assert found[0].detail.startswith(f"{lead}: ")
    assert POLICY[reason] is Action.QUARANTINE


def test_clipping():
    (found,) = findings(saturate, "V4")
    assert (found.reason, found.lead) == (Reason.CLIPPING, "V4")


def test_a_few_invalid_samples_are_borne():
    assert findings(lambda lead: lead.__setitem__(slice(100, 200), np.nan)) == []


def test_infinite_samples_are_no_amplitude():
    (found,) = findings(lambda lead: lead.__setitem__(9, np.inf))
    assert (found.reason, found.value) == (Reason.IMPLAUSIBLE_AMPLITUDE, None)  # no column holds infinity


def test_a_lead_without_any_valid_sample_is_only_invalid():
    (found,) = findings(lambda lead: lead.fill(np.nan))
    assert (found.reason, found.value) == (Reason.INVALID_SAMPLES, 1.0)


def test_exchanged_arm_electrodes_are_warned_of():
    swapped = SIGNAL.copy()
    swapped[0] *= -1
    swapped[[1, 2]] = swapped[[2, 1]]
    swapped[[3, 4]] = swapped[[4, 3]]
    (found,) = check(Recording(swapped, 500.0))
    assert (found.reason, found.lead) == (Reason.LIMB_LEAD_REVERSAL, "I")
    assert POLICY[found.reason] is Action.WARN


@pytest.mark.parametrize(
    ("samples", "rate", "reason"),
    [
        (1499, 500.0, Reason.TOO_SHORT),
        (5000, 50.0, Reason.IMPLAUSIBLE_SAMPLING_RATE),
        (5000, 1e6, Reason.IMPLAUSIBLE_SAMPLING_RATE),
        (1, 500.0, Reason.TOO_SHORT),
    ],
)
def test_length_and_rate(samples: int, rate: float, reason: Reason):
    (found,) = check(Recording(SIGNAL[:, :samples], rate))
    assert found.reason is reason


def test_shortest_recording_is_enough():
    assert check(Recording(SIGNAL[:, :1500], 500.0)) == []


@pytest.mark.parametrize("rate", [100.0, 128.0, 249.7, 1000.0])
def test_any_rate_is_judged(rate: float):
    hummed = SIGNAL.copy()
    hummed[7] += 20
    hummed[7, 300 : 302 + round(rate / 100)] = 8
    assert {finding.reason for finding in check(Recording(hummed, rate))} == {Reason.IMPLAUSIBLE_AMPLITUDE}


def test_views_are_judged_like_copies():
    recording = Recording(SIGNAL, 500.0)
    assert check(replace(recording, signal=np.asfortranarray(SIGNAL))) == check(recording)


def test_shipped_records_are_good():
    for name in ("E00271", "00001_lr"):
        assert check(read(DATA / name)) == []
    assert [finding.reason for finding in check(read(DATA / "1"))] == [Reason.LIMB_LEADS_CONTRADICT]
    assert check(read(str(get_testdata_file("waveform_ecg.dcm")))) == []


@pytest.mark.shared
@pytest.mark.parametrize(("folder", "records", "bad"), [
    ("ludb", 100, []),
    ("cinc2021", 40, ["HR08883", "JS13888"]),  # an extrasystole, wrongly; a spike in V1 and V2
])  # fmt: skip
def test_clinical_archives_are_accepted(shared: Path, folder: str, records: int, bad: list[str]):
    headers = sorted((shared / "data" / folder).glob("*.hea"))
    refused = [header.stem for header in headers if quarantines(read(header))]
    assert (len(headers), refused) == (records, bad)


@pytest.mark.shared
def test_zeros_are_flat_in_every_lead(shared: Path):
    found = check(read(shared / "data/reduced_leads/bad-ecg"))
    assert [(finding.reason, finding.lead) for finding in found] == [
        (Reason.FLAT_LEAD, lead) for lead in LEADS
    ]


@pytest.mark.shared
def test_agrees_with_people_who_judged_set_a(shared: Path):
    """PhysioNet/CinC Challenge 2011."""
    counts = {"acceptable": [0, 0], "unacceptable": [0, 0]}
    for recording, quality in set_a(shared).values():
        counts[quality][quarantines(recording)] += 1
    assert counts == {"acceptable": [8, 0], "unacceptable": [0, 14]}


def exchange(one: str, other: str) -> Callable[[np.ndarray], None]:
    def change(signal: np.ndarray) -> None:
        signal[[LEADS.index(one), LEADS.index(other)]] = signal[[LEADS.index(other), LEADS.index(one)]]

    return change


def turn(lead: str) -> Callable[[np.ndarray], None]:
    def change(signal: np.ndarray) -> None:
        signal[LEADS.index(lead)] *= -1

    return change


@pytest.mark.parametrize(
    "change",
    [
        exchange("aVL", "aVF"),
        exchange("I", "II"),
        exchange("III", "aVL"),
        exchange("V1", "aVR"),
    ],
)
def test_limb_leads_that_do_not_follow_from_each_other_are_warned_of(
    change: Callable[[np.ndarray], None],
) -> None:
    signal = SIGNAL.copy()
    change(signal)
    assert Reason.LIMB_LEADS_CONTRADICT in {finding.reason for finding in check(Recording(signal, 500.0))}
    assert POLICY[Reason.LIMB_LEADS_CONTRADICT] is Action.WARN


@pytest.mark.parametrize(("scale", "warned"), [(1.0, False), (1.25, False), (1.48, False), (1.55, True)])
def test_the_limit_of_contradiction_lies_between_a_lead_scaled_a_little_and_much(
    scale: float, warned: bool
) -> None:
    signal = SIGNAL.copy()
    signal[LEADS.index("aVF")] *= scale
    assert bool(check(Recording(signal, 500.0))) == warned


@pytest.mark.parametrize(("one", "other"), [("V2", "V3"), ("V1", "V6"), ("V4", "V5")])
def test_a_lead_that_is_a_copy_of_another_is_warned_of(one: str, other: str) -> None:
    signal = SIGNAL.copy()
    signal[LEADS.index(other)] = signal[LEADS.index(one)]
    (found,) = [
        finding for finding in check(Recording(signal, 500.0)) if finding.reason != "limb_lead_reversal"
    ]
    assert (found.reason, found.lead) == (Reason.COPIED_LEAD, other)
    assert found.detail == f"{one} and {other} are the same in every sample"


@pytest.mark.shared
def test_no_clinical_ecg_contradicts_itself_but_those_scaled_lead_by_lead(shared: Path) -> None:
    for header in sorted((shared / "data" / "cinc2021").glob("*.hea")):
        reasons = {finding.reason for finding in check(read(header))}
        assert not reasons & {Reason.LIMB_LEADS_CONTRADICT, Reason.COPIED_LEAD}, header.stem


# --- just inside and just outside each limit ----------------------------------------------------------------


def set_to(value: float, first: int, count: int) -> Callable[[np.ndarray], None]:
    def change(lead: np.ndarray) -> None:
        lead[first : first + count] = value

    return change


def spanning(millivolts: float) -> Callable[[np.ndarray], None]:
    def change(lead: np.ndarray) -> None:
        lead *= np.float32(millivolts / np.ptp(lead))

    return change


def held_at_the_rail(samples: int, millivolts: float) -> Callable[[np.ndarray], None]:
    """A small lead that is driven so far from its mean, and stays there."""

    def change(lead: np.ndarray) -> None:
        lead *= np.float32(0.2)
        lead[700 : 700 + samples] = lead.mean() + np.float32(millivolts)

    return change


def drifting(millivolts: float) -> Callable[[np.ndarray], None]:
    """From the first second to the last, which lie nine apart."""

    def change(lead: np.ndarray) -> None:
        lead += np.float32(millivolts / 9) * TIME

    return change


def humming(millivolts: float, frequency: float) -> Callable[[np.ndarray], None]:
    def change(lead: np.ndarray) -> None:
        lead += np.float32(millivolts) * np.sin(2 * np.pi * np.float32(frequency) * TIME)

    return change


LIMITS = [
    (set_to(np.nan, 100, 248), set_to(np.nan, 100, 252), Reason.INVALID_SAMPLES),
    (spanning(0.032), spanning(0.028), Reason.FLAT_LEAD),
    (set_to(0.3, 1000, 750), set_to(0.3, 1000, 751), Reason.LEAD_OFF),
    (held_at_the_rail(25, 1.0), held_at_the_rail(28, 1.0), Reason.CLIPPING),
    (held_at_the_rail(25, -1.0), held_at_the_rail(28, -1.0), Reason.CLIPPING),
    (held_at_the_rail(60, 0.47), held_at_the_rail(60, 0.53), Reason.CLIPPING),
    (held_at_the_rail(60, -0.47), held_at_the_rail(60, -0.53), Reason.CLIPPING),
    (set_to(10.2, 700, 5), set_to(10.2, 700, 6), Reason.IMPLAUSIBLE_AMPLITUDE),
    (drifting(1.9), drifting(2.1), Reason.BASELINE_WANDER),
    (drifting(-1.9), drifting(-2.1), Reason.BASELINE_WANDER),
    (humming(0.093, 50.0), humming(0.107, 50.0), Reason.MAINS_NOISE),
    (humming(0.093, 60.0), humming(0.107, 60.0), Reason.MAINS_NOISE),
]


@pytest.mark.parametrize(
    ("inside", "outside", "reason"), LIMITS, ids=[f"{n} {reason}" for n, (*_, reason) in enumerate(LIMITS)]
)
def test_a_lead_just_inside_a_limit_passes_and_one_just_outside_does_not(
    inside: Callable[[np.ndarray], None], outside: Callable[[np.ndarray], None], reason: Reason
) -> None:
    assert {finding.reason for finding in findings(inside)} <= {Reason.MOTION}
    assert [(finding.reason, finding.lead) for finding in findings(outside)] == [(reason, "V2")]


@pytest.mark.parametrize(("seconds", "rate", "accepted"), [
    (2.99, 500.0, False), (3.0, 500.0, True), (3.01, 1000.0, True), (2.99, 100.0, False),
    (10.0, 99.0, False), (10.0, 100.0, True), (3.5, 32_000.0, True), (3.5, 32_100.0, False),
])  # fmt: skip
def test_a_recording_just_long_enough_or_of_a_rate_just_plausible_passes(
    seconds: float, rate: float, accepted: bool
) -> None:
    samples = round(seconds * rate)
    signal = np.tile(SIGNAL, -(-samples // SIGNAL.shape[1]))[:, :samples]
    reasons = {finding.reason for finding in check(Recording(signal, rate))}
    assert bool(reasons & {Reason.TOO_SHORT, Reason.IMPLAUSIBLE_SAMPLING_RATE}) != accepted


@pytest.mark.parametrize(("against", "warned"), [(0.47, False), (0.53, True), (0.9, True)])
def test_a_lead_i_that_runs_against_v6_for_the_most_part_is_warned_of(against: float, warned: bool) -> None:
    """Two sines, of which the slopes correlate by exactly so much."""
    signal = SIGNAL.copy()
    phase = 2 * np.pi * 5 * TIME
    signal[LEADS.index("V6")] = np.sin(phase)
    signal[0] = -against * np.sin(phase) + np.sqrt(1 - against**2) * np.cos(phase)
    reasons = {finding.reason for finding in check(Recording(signal, 500.0))}
    assert (Reason.LIMB_LEAD_REVERSAL in reasons) == warned


@pytest.mark.parametrize("rate", [250.0, 1000.0])
def test_a_loose_electrode_is_measured_in_seconds_at_any_rate(rate: float) -> None:
    signal = SIGNAL.copy()
    signal[LEADS.index("V2"), 1000 : 1000 + round(1.6 * rate)] = 0.3
    (found,) = check(Recording(signal, rate))
    assert (found.reason, found.value) == (Reason.LEAD_OFF, pytest.approx(1.6, abs=0.01))


def test_an_electrodes_offset_is_no_amplitude_though_samples_are_missing() -> None:
    """Of the valid samples alone is the mean: 4 % of 300 mV would be 12."""

    def charge(lead: np.ndarray) -> None:
        lead += 300
        lead[100:300] = np.nan

    assert findings(charge) == []


def test_peaks_of_one_height_are_not_clipped() -> None:
    def pace(lead: np.ndarray) -> None:
        lead *= np.float32(0.2)
        lead[20::100] = 1.0

    assert findings(pace) == []


def test_an_unplugged_machine_is_flat_and_nothing_else() -> None:
    found = check(Recording(np.zeros((12, 5000), np.float32), 500.0))
    assert [(finding.reason, finding.lead) for finding in found] == [
        (Reason.FLAT_LEAD, lead) for lead in LEADS
    ]


# --- artefacts ----------------------------------------------------------------------------------------------


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
@pytest.mark.parametrize(("half", "ecgs", "leads"), [(0, 0.98, 0.94), (1, 0.88, 0.80)])
def test_noise_of_other_records_is_found_at_minus_6_db(
    shared: Path, half: int, ecgs: float, leads: float
) -> None:
    """Limits were chosen on half 0; `tests/benchmarks/signal_gate.py` prints all figures."""
    noise = list(noisy(shared, half, -6))
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
