"""The parts of a beat lie where the waves are."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from stence.ecg import Recording, read
from stence.ecg.delineation import Interval, Part, delineate
from support.beats import R_PEAKS, RATE, WAVES, beats


def of(found: list[Interval], part: Part) -> list[Interval]:
    return [each for each in found if each.part == part]


def test_each_part_covers_its_wave_in_every_beat() -> None:
    found = delineate(beats())
    for part, (at, width) in WAVES.items():
        for r, each in zip(R_PEAKS, of(found, part), strict=True):
            assert each.start < r + at - width, part
            assert each.end > r + at + width, part
            assert each.end - each.start < 7 * width + (0.15 if part is Part.ST_T else 0.02), part


def test_parts_follow_each_other_without_overlap() -> None:
    found = delineate(beats([0.6 + 0.45 * number for number in range(20)]))
    assert found == sorted(found, key=lambda each: each.start)
    assert all(before.end <= after.start + 1e-9 for before, after in pairwise(found))


def test_without_a_p_wave_there_is_no_p() -> None:
    found = delineate(beats(without=Part.P))
    assert not of(found, Part.P)
    assert len(of(found, Part.QRS)) == len(R_PEAKS)


def test_the_sampling_rate_does_not_matter() -> None:
    recording = beats()
    coarse = Recording(recording.signal[:, ::2], sampling_rate=RATE / 2)
    for one, other in zip(delineate(recording), delineate(coarse), strict=True):
        assert (one.start, one.end) == pytest.approx((other.start, other.end), abs=0.025)


def test_what_has_no_beats_has_no_parts() -> None:
    assert delineate(Recording(np.full((12, 5000), np.nan, np.float32), sampling_rate=RATE)) == []
    noise = np.random.default_rng(2).normal(0, 1, (12, 1600)).astype(np.float32)
    assert all(each.end <= 3.2 for each in delineate(Recording(noise, sampling_rate=RATE)))


@pytest.mark.shared
def test_real_ecgs_have_plausible_parts_and_a_p_wave_in_sinus_rhythm(shared: Path) -> None:
    """LUDB's waves were annotated by hand, but the annotations are not at hand: diagnoses are."""
    sinus = fibrillating = p_in_sinus = p_in_fibrillation = narrow = 0
    for header in sorted((shared / "data" / "ludb").glob("*.hea")):
        about = header.read_text()
        found = delineate(read(header))
        assert found, header.name
        qrs = np.median([each.end - each.start for each in of(found, Part.QRS)])
        has_p = bool(of(found, Part.P))
        if "Rhythm: Sinus rhythm" in about:
            sinus, p_in_sinus = sinus + 1, p_in_sinus + has_p
        if "Rhythm: Atrial fibrillation" in about:
            fibrillating, p_in_fibrillation = fibrillating + 1, p_in_fibrillation + has_p
        if not any(word in about for word in ("block", "pacing", "extrasystole")):
            narrow += 0.07 <= qrs <= 0.13
    assert (sinus, fibrillating) == (72, 9)
    assert p_in_sinus >= 67
    assert p_in_fibrillation <= 4
    assert narrow >= 40


@pytest.mark.shared
def test_a_real_ecg_agrees_with_the_electrocardiograph(shared: Path) -> None:
    """GE's own measurements of the same recording: QRS 86 ms, QT 402 ms."""
    recording = read(shared / "data" / "muse" / "muse-sinus")
    found = delineate(recording)
    qrs, st_t = of(found, Part.QRS), of(found, Part.ST_T)
    assert np.median([each.end - each.start for each in qrs]) == pytest.approx(0.086, abs=0.02)
    assert np.median([t.end - q.start for q, t in zip(qrs, st_t, strict=True)]) == pytest.approx(
        0.402, abs=0.04
    )
