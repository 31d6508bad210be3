"""Each fault is found in the lead that has it, and good recordings of several archives pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file

from stence.ecg import LEADS, POLICY, Action, Reason, Recording, check, read
from support.disturbed import (
    DATA,
    SIGNAL,
    TIME,
    drifting,
    exchange,
    findings,
    quarantines,
    set_to,
)
from support.noisy_ecgs import set_a


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
