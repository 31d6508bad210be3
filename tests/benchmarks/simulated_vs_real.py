"""Holds 500 simulated ECGs against 140 real ones: prints the tables and draws both pictures.

    python tests/benchmarks/simulated_vs_real.py

Real records: LUDB (100) and PhysioNet/CinC Challenge 2021 (40) in ../shared/data. Each lead of LUDB's
published records is scaled to 1 mV from lowest to highest sample, so millivolts are compared with the 40,
and times and shares of the QRS height with all 140.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from collections.abc import Callable, Iterable
from io import StringIO
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt

from stence.ecg import LEADS, Recording, read
from stence.objects import LocalStore
from stence.progress import silent
from stence.settings import Settings
from stence.simulation import HospitalConfig, simulate
from support.delineation import Measurements, measure

ROOT = Path(__file__).resolve().parents[2]
REAL = ROOT.parent / "shared" / "data"
PICTURES = ROOT / ".images"
COUNT = 500
Quantity = Callable[[Measurements], float | np.ndarray]

BEATS: dict[str, Quantity] = {
    "Heart rate (/min)": lambda m: m.heart_rate,
    "RR deviation (ms)": lambda m: m.rr_variation,
    "QRS duration (ms)": lambda m: m.qrs,
    "QT interval (ms)": lambda m: m.qt,
    "Noise above 40 Hz (‰ of QRS)": lambda m: m.noise / np.median(m.r + m.s),
    "Wander below 0.5 Hz (‰ of QRS)": lambda m: m.wander / np.median(m.r + m.s),
}
MILLIVOLTS: dict[str, Quantity] = {"R": lambda m: m.r, "S": lambda m: m.s, "T": lambda m: m.t}
SHARES: dict[str, Quantity] = {
    "R": lambda m: m.r / np.maximum(m.r + m.s, 0.05),
    "T": lambda m: m.t / np.maximum(m.r + m.s, 0.05),
}


def main() -> int:
    if not REAL.is_dir():
        print(f"The real records are not here: {REAL}")
        return 1
    absolute = [*measured(map(read, sorted((REAL / "cinc2021").glob("*.hea"))))]
    real = [*absolute, *measured(map(read, sorted((REAL / "ludb").glob("*.hea"))))]
    recordings = simulated(COUNT)
    mine = [*measured(recordings)]
    print(f"{len(real)} real ({len(absolute)} of them in true millivolts), {len(mine)} simulated\n")
    apart = print_times(real, mine)
    apart += print_leads("Amplitudes in mV", MILLIVOLTS, absolute, mine)
    apart += print_leads("Shares of the lead's QRS height", SHARES, real, mine)
    print(f"{apart} medians lie outside of the real records' interquartile range")
    draw_comparison(real, absolute, mine)
    draw_on_paper(recordings[12])
    return 0


def simulated(count: int) -> list[Recording]:
    """The first sound recordings of the practice hospital, read back from its files."""
    with tempfile.TemporaryDirectory() as folder:
        simulate(LocalStore(Path(folder)), Settings(), HospitalConfig(patients=count), silent)
        faulty = {row["key"] for row in rows(Path(folder, "simulation/faults.csv"))}
        keys = [row["key"] for row in rows(Path(folder, "simulation/ecgs.csv")) if row["key"] not in faulty]
        return [read(Path(folder, key)) for key in keys[:count]]


def rows(path: Path) -> Iterable[dict[str, str]]:
    return csv.DictReader(StringIO(path.read_text(encoding="utf-8")))


def measured(recordings: Iterable[Recording]) -> Iterable[Measurements]:
    for recording in recordings:
        result = measure(recording.signal, recording.sampling_rate)
        if result is not None:
            yield result


def spread(values: list[float | np.ndarray]) -> np.ndarray:
    """5, 25, 50, 75, 95 % over the records."""
    return np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95], axis=0)


def outside(real: np.ndarray, mine: np.ndarray) -> bool:
    return not real[1] <= mine[2] <= real[3]


def print_times(real: list[Measurements], mine: list[Measurements]) -> int:
    print("| | real: median | 25-75 % | 5-95 % | simulated: median | 5-95 % |\n|---|---|---|---|---|---|")
    apart = 0
    for name, quantity in BEATS.items():
        a, b = spread([quantity(m) for m in real]), spread([quantity(m) for m in mine])
        apart += outside(a, b)
        print(
            f"| {name} | {a[2]:.3g} | {a[1]:.3g}-{a[3]:.3g} | {a[0]:.3g}-{a[4]:.3g} "
            f"| **{b[2]:.3g}** | {b[0]:.3g}-{b[4]:.3g} |"
        )
    print()
    return apart


def print_leads(
    title: str, quantities: dict[str, Quantity], real: list[Measurements], mine: list[Measurements]
) -> int:
    """A row a lead; each cell: real median (25-75 %), then the simulated median."""
    print(f"{title}: real median (25-75 %) → simulated median\n")
    print("| lead | " + " | ".join(quantities) + " |\n|---" + "|---" * len(quantities) + "|")
    cells = {}
    apart = 0
    for name, quantity in quantities.items():
        a, b = spread([quantity(m) for m in real]), spread([quantity(m) for m in mine])
        apart += sum(outside(a[:, lead], b[:, lead]) for lead in range(len(LEADS)))
        cells[name] = [
            f"{a[2, lead]:.2f} ({a[1, lead]:.2f} to {a[3, lead]:.2f}) → **{b[2, lead]:.2f}**"
            for lead in range(len(LEADS))
        ]
    for lead, name in enumerate(LEADS):
        print(f"| {name} | " + " | ".join(column[lead] for column in cells.values()) + " |")
    print()
    return apart


def draw_comparison(real: list[Measurements], absolute: list[Measurements], mine: list[Measurements]) -> None:
    figure, axes = plt.subplots(3, 3, figsize=(13, 9.5))
    for axis, (name, quantity) in zip(axes.flat, BEATS.items(), strict=False):
        for values, colour, label in ((real, "#888888", "real (140)"), (mine, "#c0392b", "simulated (500)")):
            sorted_values = np.sort([quantity(m) for m in values])
            axis.plot(sorted_values, np.linspace(0, 100, len(sorted_values)), color=colour, label=label)
        low, *_, high = spread([quantity(m) for m in real])
        axis.set(title=name, xlim=(low - (high - low) / 4, high + (high - low) / 4), ylabel="% of ECGs below")
    axes[0, 0].legend(frameon=False)
    for axis, (name, quantity) in zip(axes[2], MILLIVOLTS.items(), strict=True):
        for values, colour, shift in ((absolute, "#888888", -0.15), (mine, "#c0392b", 0.15)):
            s = spread([quantity(m) for m in values])
            where = np.arange(len(LEADS)) + shift
            axis.vlines(where, s[0], s[4], color=colour, lw=1)
            axis.vlines(where, s[1], s[3], color=colour, lw=4)
            axis.plot(where, s[2], "o", color="white", ms=3, mec=colour)
        axis.set(title=f"{name} (mV): median, 25-75 %, 5-95 %; real (40)")
        axis.set_xticks(range(len(LEADS)), LEADS, fontsize=8)
    figure.tight_layout()
    figure.savefig(PICTURES / "simulated-vs-real.png", dpi=90)
    plt.close(figure)


def draw_on_paper(recording: Recording) -> None:
    """The usual print: 25 mm/s, 10 mm/mV, four columns of 2.5 s and lead II below."""
    figure, axis = plt.subplots(figsize=(13, 7))
    rate, gap = recording.sampling_rate, 2.6
    strips = [(3 * column + row, row, 2.5 * column, 2.5) for column in range(4) for row in range(3)]
    for lead, row, start, seconds in [*strips, (1, 3, 0.0, recording.seconds)]:
        window = slice(int(start * rate), int((start + seconds) * rate))
        trace = recording.signal[lead] - np.median(recording.signal[lead])
        axis.plot(
            np.arange(window.stop - window.start) / rate + start, trace[window] - gap * row, "k", lw=0.8
        )
        axis.text(start + 0.05, 0.9 - gap * row, LEADS[lead], fontsize=10, weight="bold")
    axis.set(xlim=(0, 10), ylim=(-3 * gap - 1.4, 2.4))
    for ticks, minor, colour in ((1, True, "#fbe3e3"), (5, False, "#f0b5b5")):
        axis.set_xticks(np.arange(0, 10.001, 0.04 * ticks), minor=minor)
        axis.set_yticks(np.arange(-9, 2.4, 0.1 * ticks), minor=minor)
        axis.grid(which="minor" if minor else "major", color=colour, lw=0.4)
    axis.tick_params(which="both", length=0, labelbottom=False, labelleft=False)
    axis.set_axisbelow(True)
    figure.tight_layout()
    figure.savefig(PICTURES / "simulated-ecg.png", dpi=90)
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
