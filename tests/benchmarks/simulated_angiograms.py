"""Draws one simulated angiography, and prints what a run of them costs.

    python tests/benchmarks/simulated_angiograms.py

A circle marks where the frames differ from those of the same heart without disease.
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import matplotlib as mpl
import numpy as np
from scipy.ndimage import gaussian_filter, label, maximum_position

mpl.use("Agg")
from matplotlib import pyplot as plt
from pydicom.uid import JPEGBaseline8Bit

from stence.simulation.angiogram_files import Study, angiogram_dataset, content_of
from stence.simulation.angiograms import Run, draw_runs
from stence.simulation.hospital import HospitalConfig
from stence.simulation.patients import Patient, draw_patient

PICTURE = Path(__file__).resolve().parents[2] / ".images" / "simulated-angiogram.png"
SEED = HospitalConfig().seed
STUDIES = 50
STARTED_AT = datetime(2026, 5, 4, 9, 30)


def main() -> None:
    """Print the figures, write the picture."""
    patients = [drawn(number) for number in range(STUDIES)]
    runs(patients[0])
    began, sizes = time.process_time(), []
    for patient in patients:
        study = Study(patient, 1, STARTED_AT)
        sizes += [len(content_of(angiogram_dataset(study, run, JPEGBaseline8Bit))) for run in runs(patient)]
    took = time.process_time() - began
    milliseconds, kilobytes = 1000 * took / len(sizes), np.mean(sizes) / 1000
    print(f"{len(sizes)} runs: {milliseconds:.1f} ms of one core and {kilobytes:.0f} kB each")
    draw(next(patient for patient in map(drawn, range(1000)) if shows_much(patient)))


def drawn(number: int) -> Patient:
    """A patient of the default hospital."""
    return draw_patient(np.random.default_rng(np.random.SeedSequence(SEED, spawn_key=(number,))), number)


def runs(patient: Patient) -> list[Run]:
    """The patient's study, as the hospital writes it."""
    sequence = np.random.SeedSequence(SEED, spawn_key=(patient.number, 1))
    return list(draw_runs(np.random.default_rng(sequence), patient, STARTED_AT))


def shows_much(patient: Patient) -> bool:
    """The RCA and the LAD narrowed and nothing occluded."""
    degrees = patient.degrees
    return degrees.max() < 95 and degrees[[0, 1]].max() >= 75 and degrees[[5, 6]].max() >= 75


def draw(patient: Patient) -> None:
    """One run as it fills, and each run at its fullest with what is narrowed."""
    shown = runs(patient)
    healthy = runs(replace(patient, trees=patient.trees._replace(degrees=np.zeros((1, 16), dtype=np.int64))))
    figure, axes = plt.subplots(2, 5, figsize=(15, 6.3), layout="constrained")
    for axis in axes.flat:
        axis.axis("off")
    film = shown[-1] if len(shown) == 3 else shown[2]
    for axis, index in zip(axes[0], np.linspace(0, len(film.frames) - 1, 5).astype(int), strict=True):
        show(axis, film, index)
    for axis, run, other in zip(axes[1], shown, healthy, strict=False):
        fullest = int(run.frames.mean(axis=(1, 2)).argmin())
        show(axis, run, fullest)
        brighter = gaussian_filter(run.frames[fullest] - other.frames[fullest], 2.5)
        places, count = label(brighter > 0.025)
        for row, column in maximum_position(brighter, places, range(1, count + 1)):
            axis.add_patch(plt.Circle((column, row), 12, fill=False, color="gold", lw=1.2))
    narrowed = [f"{n}: {degree} %" for n, degree in enumerate(patient.degrees.tolist(), 1) if degree]
    figure.suptitle("Narrowed segments: " + ", ".join(narrowed), fontsize=11)
    figure.savefig(PICTURE, dpi=80)


def show(axis: plt.Axes, run: Run, index: int) -> None:
    """One frame under its angles and its moment."""
    axis.imshow(run.frames[index], cmap="gray", vmin=0, vmax=1)
    sides = f"{'LAO' if run.primary > 0 else 'RAO'} {abs(run.primary):.0f}°"
    sides += f" {'cranial' if run.secondary > 0 else 'caudal'} {abs(run.secondary):.0f}°"
    axis.set_title(f"{'RCA' if run.right else 'LCA'}  {sides}  {index * run.frame_seconds:.2f} s", fontsize=9)


if __name__ == "__main__":
    main()
