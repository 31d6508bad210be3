"""An ECG on paper has the scale that it states, hides nothing and invents nothing."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from stence.ecg import LEADS, Recording, read
from stence.ecg.delineation import Interval, Part
from stence.explain.paper import Mark, draw

RATE = 500
SVG = "{http://www.w3.org/2000/svg}"
DATA = Path(__file__).parents[1] / "data" / "wfdb"
Lines = list[NDArray[np.int_]]


def recording(signal: NDArray[np.floating], rate: float = RATE) -> Recording:
    return Recording(np.broadcast_to(signal, (12, signal.shape[-1])).astype(np.float32), sampling_rate=rate)


def traces(svg: str) -> dict[str, Lines]:
    """The lines of each lead, as points (n, 2) in 1/100 mm; the rhythm strip is ``rhythm``."""
    paths = [path for path in ET.fromstring(svg).iter(f"{SVG}path") if "data-lead" in path.attrib]  # noqa: S314
    names = [path.attrib["data-lead"] for path in paths[:-1]] + ["rhythm"]
    return {name: lines(path.attrib["d"]) for name, path in zip(names, paths, strict=True)}


def lines(path: str) -> Lines:
    found = []
    for start, steps in re.findall(r"M(-?\d+ -?\d+)l([-\d ]+)", path):
        numbers = np.array([*start.split(), *steps.split()], dtype=int).reshape(-1, 2)
        found.append(np.cumsum(numbers, axis=0))
    return found


def shades(svg: str) -> list[dict[str, int]]:
    [group] = [each for each in ET.fromstring(svg).iter(f"{SVG}g") if each.get("class") == "marks"]  # noqa: S314
    return [{name: int(value) for name, value in each.attrib.items()} for each in group]


def test_a_second_is_25_mm_and_a_millivolt_is_10_mm() -> None:
    square = np.zeros(5000)
    square[1000:1500] = 1.0  # one second, from 2 to 3 s
    [line] = traces(draw(recording(square)))["rhythm"]
    low, high = line[:, 1].max(), line[:, 1].min()
    assert low - high == pytest.approx(1000, abs=3)
    risen = line[line[:, 1] < (low + high) / 2]
    assert np.ptp(risen[:, 0]) == pytest.approx(2500, abs=10)
    assert np.ptp(line[:, 0]) == pytest.approx(10 * 2500, abs=10)


def test_printed_it_is_true_to_scale_and_fits_a4() -> None:
    root = ET.fromstring(draw(recording(np.zeros(5000))))  # noqa: S314
    width, height = (float(root.attrib[name].removesuffix("mm")) for name in ("width", "height"))
    assert root.attrib["viewBox"] == f"0 0 {100 * width:.0f} {100 * height:.0f}"
    assert width <= 297 - 20
    assert height <= 210 - 20


def test_the_calibration_pulse_is_a_millivolt_of_200_ms() -> None:
    assert draw(recording(np.zeros(5000))).count("h100v-1000h500v1000h100") == 4


def test_every_lead_is_drawn_at_its_time() -> None:
    """A pulse in each column's time, 0.5 s after its beginning in the first and 0.4 s later in each next."""
    pulses = np.zeros(5000)
    for column in range(4):
        pulses[round((0.5 + 2.9 * column) * RATE)] = 1.0
    found = traces(draw(recording(pulses)))
    assert list(found)[:-1] == [*LEADS]
    for number, (lead, [line]) in enumerate(found.items()):
        assert (line[:, 1] < line[:, 1].max() - 900).sum() == (4 if lead == "rhythm" else 1), lead
        if lead != "rhythm":
            after = 0.5 + 0.4 * (number // 3)
            assert line[np.argmin(line[:, 1]), 0] - line[0, 0] == pytest.approx(after * 2500, abs=10)


def test_missing_samples_are_a_gap() -> None:
    signal = np.sin(np.arange(5000) / 40)
    signal[1000:2000] = np.nan
    before, after = traces(draw(recording(signal)))["rhythm"]
    assert after[0, 0] - before[-1, 0] == pytest.approx(1001 / RATE * 2500, abs=2)


def test_peaks_survive_with_few_points() -> None:
    real = read(DATA / "1.hea")
    svg = draw(real)
    assert len(svg) < 60_000
    lead = real.signal[LEADS.index("II")][: round(10 * real.sampling_rate)]
    drawn = np.concatenate(traces(svg)["rhythm"])
    assert np.ptp(drawn[:, 1]) == pytest.approx(1000 * np.nanmax(lead) - 1000 * np.nanmin(lead), abs=5)
    assert len(drawn) < len(lead) / 2


@pytest.mark.parametrize(
    ("seconds", "words"), [(30, "first 10 s of 30.0 s"), (4, "4.0 s, leads simultaneous")]
)
def test_other_lengths_are_said(seconds: int, words: str) -> None:
    svg = draw(recording(np.sin(np.arange(seconds * RATE) / 40)))
    assert words in svg
    assert "25 mm/s   10 mm/mV   no filter" in svg
    [line] = traces(svg)["rhythm"]
    assert np.ptp(line[:, 0]) == pytest.approx(min(seconds, 10) * 2500, abs=10)


def test_marks_are_shaded_where_the_model_read() -> None:
    beats = [Interval(Part.ST_T, start, start + 0.4) for start in (0.5, 3.2, 6.0)]
    svg = draw(recording(np.zeros(5000)), beats, [Mark("II", Part.ST_T)], [(0, 3), (6.2, 9.2)])
    left = 900
    assert [(each["x"], each["width"]) for each in shades(svg)] == [
        (left + 1250, 1000),  # in the column of lead II, up to 2.5 s
        (left + 1250, 1000),  # in the rhythm strip
        (left + 15_500, 500),  # the second window begins within the beat
    ]
    assert not shades(draw(recording(np.zeros(5000)), beats, [], [(0, 3)]))


def test_other_sampling_rates_and_nothing_but_gaps() -> None:
    assert traces(draw(recording(np.full(1000, np.nan), 100)))["I"] == []
    [line] = traces(draw(recording(np.zeros(1000), 100)))["rhythm"]
    assert np.ptp(line[:, 0]) == pytest.approx(25_000, abs=30)
